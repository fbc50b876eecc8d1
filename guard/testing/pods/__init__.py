"""LocalPods: runs the pods of Deployments and Jobs as processes of this machine.

Owns what controllers and a kubelet own: ReplicaSets, pods, their processes and statuses, EndpointSlices.
Refuses to know the API server (FakeCluster, or a real one on loopback, by kubeconfig) and any gateway.
"""

from guard.testing.pods.local_pods import LocalPods

__all__ = ["LocalPods"]
