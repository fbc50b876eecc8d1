"""The kubeconfig that leads to a FakeCluster."""

import json

from guard.testing.cluster.objects import Json


def kubeconfig(url: str, namespace: str = "default") -> str:
    """A kubeconfig as text; JSON, which every reader of kubeconfigs takes as YAML.

    The user has a token although none is asked for: kubectl prompts for a name where there is nothing.
    """
    name = "fake"
    document: Json = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {"token": "none"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2) + "\n"
