"""ReplicaSet -> Pods: so many of one template, replaced when they end.

Knows no revision and no process: pods are objects here.
"""

import secrets
from collections.abc import Sequence

from guard.adapters.kubernetes.client import PODS, REPLICA_SETS, KubernetesClient, Object
from guard.testing.pods.objects import (
    NODE,
    Snapshot,
    differs,
    is_available,
    is_finished,
    is_ready,
    is_terminating,
    key,
    owned,
    owner_reference,
)
from guard.testing.pods.rollout import Size


def reconcile_replica_set(client: KubernetesClient, replica_set: Object, state: Snapshot, now: float) -> None:
    """Create or delete pods until their number is `spec.replicas`; unready and young ones go first."""
    namespace = key(replica_set)[0]
    pods = [p for p in owned(state.pods, replica_set) if not is_terminating(p) and not is_finished(p)]
    wanted = int(replica_set["spec"].get("replicas", 1))
    for _ in range(wanted - len(pods)):
        client.create(PODS, namespace, _pod(replica_set))
    by_value = sorted(pods, key=lambda p: p["metadata"]["creationTimestamp"])
    by_value.sort(key=is_ready, reverse=True)
    for pod in by_value[wanted:]:
        client.delete(PODS, namespace, pod["metadata"]["name"])
    status = {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": sum(is_available(p, min_ready_seconds(replica_set), now) for p in pods),
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
    if differs(replica_set.get("status"), status):
        client.patch_merge(REPLICA_SETS, *key(replica_set), {"status": status}, subresource="status")


def min_ready_seconds(workload: Object) -> int:
    """How long a pod must have been ready before it counts as available."""
    return int(workload["spec"].get("minReadySeconds") or 0)


def _pod(replica_set: Object) -> Object:
    template = replica_set["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template.get("metadata", {}),
            "name": f"{replica_set['metadata']['name']}-{secrets.token_hex(3)[:5]}",
            "namespace": key(replica_set)[0],
            "ownerReferences": [owner_reference("apps/v1", "ReplicaSet", replica_set)],
        },
        "spec": {**template["spec"], "nodeName": NODE},
    }


def size_of(replica_set: Object, pods: Sequence[Object], min_ready: int, now: float) -> Size:
    """What the ReplicaSet is asked for and has; pods that are ending still count as pods."""
    mine = [p for p in owned(pods, replica_set) if not is_finished(p)]
    available = sum(is_available(p, min_ready, now) for p in mine)
    name = replica_set["metadata"]["name"]
    return Size(name, int(replica_set["spec"].get("replicas", 1)), len(mine), available)
