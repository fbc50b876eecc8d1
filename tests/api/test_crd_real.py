"""Claims about what Kubernetes' own API machinery makes of the shipped definitions."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from guard.adapters.kubernetes.client import CHANGES, InvalidError, KubernetesClient
from guard.adapters.opening import change_document
from guard.api.change import freeze
from guard.api.crd import definitions
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.testing.cluster import FakeCluster
from tests.daemon.harness import CANARY, GUARD, STABLE

pytestmark = pytest.mark.api

HOST = "127.88.1.1"
NAMESPACE = "default"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesClient]:
    import httpx

    from guard.testing.apiserver.behind import machinery_behind, register
    from guard.testing.apiserver.parts import missing_parts

    if problem := missing_parts():
        pytest.fail(problem)
    folder = tmp_path_factory.mktemp("machinery")
    with (
        FakeCluster.serve(host=HOST) as front,
        machinery_behind(front, folder, HOST, gateway_api=False),
        httpx.Client(base_url=front.url, trust_env=False) as http,
    ):
        register(http, deepcopy(definitions()))
        yield KubernetesClient(str(front.write_kubeconfig(folder / "kubeconfig")))


@pytest.fixture(scope="module")
def change(client: KubernetesClient) -> str:
    plan = freeze(parse(GuardSpec, GUARD, "Guard"), CANARY, STABLE)
    client.create(CHANGES, NAMESPACE, change_document("ops-1", "chat", "OPS-1", "R1", "ann", plan))
    return "ops-1"


@pytest.mark.parametrize(
    ("field", "edit"),
    [
        ("guard", "other"),
        ("ticket", "OPS-2"),
        ("risk", "R0"),
        ("requestedBy", "bob"),
        ("plan", {"digest": "sha256:0"}),
        ("plan", {"guard": {"deadlines": {"change": "8h"}}}),
        ("plan", {"canaryTemplate": {"spec": {"containers": [{"args": ["--other"]}]}}}),
    ],
    ids=["guard", "ticket", "risk", "requester", "digest", "the plan's policy", "the plan's template"],
)
def test_what_was_opened_cannot_be_edited(
    client: KubernetesClient, change: str, field: str, edit: Any
) -> None:
    with pytest.raises(
        InvalidError, match=f"{field} may not be edited; close this Change and open a new one"
    ):
        client.patch_merge(CHANGES, NAMESPACE, change, {"spec": {field: edit}})


def test_an_operators_action_can_be_edited(client: KubernetesClient, change: str) -> None:
    for action in ("Hold", "Resume"):
        edited = client.patch_merge(CHANGES, NAMESPACE, change, {"spec": {"action": action}})
        assert edited["spec"]["action"] == action
