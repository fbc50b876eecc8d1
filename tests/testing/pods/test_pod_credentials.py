from pathlib import Path
from typing import Any

import pytest

from guard.adapters.kubernetes.client import PODS, SECRETS, KubernetesClient
from guard.errors import UnauthorizedError
from guard.testing.cluster import FakeCluster
from guard.testing.pods.credentials import pod_kubeconfig

ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader", "namespace": "default"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "reader", "namespace": "default"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
    "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
}


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}


def test_a_pod_may_do_what_its_service_account_may(tmp_path: Path) -> None:
    with FakeCluster.serve() as cluster:
        cluster.apply([ROLE, BINDING])
        machine = cluster.write_kubeconfig(tmp_path / "machine")
        client = KubernetesClient(str(pod_kubeconfig(machine, pod(serviceAccountName="reader"), tmp_path)))
        assert client.list(PODS, "default")["items"] == []
        with pytest.raises(UnauthorizedError, match='"system:serviceaccount:default:reader" cannot list'):
            client.list(SECRETS, "default")


def test_a_pod_without_service_account_has_the_machines_rights(tmp_path: Path) -> None:
    assert pod_kubeconfig(tmp_path / "machine", pod(), tmp_path) == tmp_path / "machine"
