"""FakeCluster: the Kubernetes API over HTTP, in memory, for tests and for the local stack.

Owns the API's behaviour towards clients: resourceVersions and conflicts, watches, patches, server-side
apply, subresources, discovery, OpenAPI, Tables, CustomResourceDefinitions. Runs nothing: no scheduler, no
controllers but garbage collection, no kubelet; whoever needs pods brings LocalPods. It authenticates
nobody and does NOT evaluate CEL (`x-kubernetes-validations`, admission policies): the real machinery of
`guard/testing/apiserver` does, for custom kinds.
"""

from guard.testing.cluster.faults import RecordedRequest
from guard.testing.cluster.server import FakeCluster

__all__ = ["FakeCluster", "RecordedRequest"]
