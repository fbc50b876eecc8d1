"""The kubeconfig that a pod gets: its service account's, so that RBAC holds in a pod as it does on a node.

The token is the account's user name, which FakeCluster takes for who calls; another API server would not. A
pod that names no service account keeps whatever rights its machine has: on a real cluster it would have none.
"""

from pathlib import Path

import yaml

from guard.adapters.kubernetes.client import Object
from guard.testing.pods.objects import key


def pod_kubeconfig(machine: Path, pod: Object, folder: Path) -> Path:
    """The machine's kubeconfig, or one of the pod's own in `folder`."""
    account = pod["spec"].get("serviceAccountName")
    if not account:
        return machine
    document = yaml.safe_load(machine.read_text(encoding="utf-8"))
    for user in document["users"]:
        user["user"] = {"token": f"system:serviceaccount:{key(pod)[0]}:{account}"}
    own = folder / "kubeconfig"
    own.write_text(yaml.safe_dump(document), encoding="utf-8")
    return own
