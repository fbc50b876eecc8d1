"""The real API machinery of custom resources: etcd and Kubernetes' own apiextensions-apiserver as processes.

Real storage, watch, validation, CEL, patch and server-side apply for every kind that a
CustomResourceDefinition describes, ours and the Gateway API's. It has no core group, no Deployments, Leases
or Events: FakeCluster serves those, and hands requests for custom groups through to this
(`guard/testing/cluster/upstream.py`).
"""
