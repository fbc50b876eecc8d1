"""Claims about a decision that could not be written before the guard lost its leadership, or died."""

import threading
from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import CHANGES, KubernetesClient, Object, Resource
from guard.adapters.kubernetes.lease import Lease
from guard.api.change import Plan
from guard.daemon.kept_rollback import FILE
from guard.errors import UnreachableError
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE
from tests.daemon.test_equipment import is_rolling_back, open_with_traffic
from tests.daemon.test_loop import guard as guard
from tests.daemon.test_loop import guarding, until

pytestmark = pytest.mark.component


class Fickle(KubernetesClient):
    """Writes no status of a Change while it is `away`."""

    away = True

    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig)
        self.refused = threading.Event()

    def patch_merge(
        self, resource: Resource, namespace: str | None, name: str, body: Object, subresource: str = ""
    ) -> Object:
        if self.away and resource == CHANGES:
            self.refused.set()
            raise UnreachableError("away")
        return super().patch_merge(resource, namespace, name, body, subresource)


def test_a_rollback_decided_while_the_api_was_away_outlives_the_lost_lease(
    client: KubernetesClient,
    cluster: FakeCluster,
    plan: Plan,
    guard: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_with_traffic(client, plan, "RollBack")
    fickle = Fickle(str(cluster.write_kubeconfig(tmp_path / "other")))
    with guarding(fickle, tmp_path / "artifacts"):
        assert fickle.refused.wait(20.0)
        asked = threading.Semaphore(0)
        with monkeypatch.context() as follower:
            follower.setattr(Lease, "hold", lambda self: asked.release())
            assert asked.acquire(timeout=20.0)
            client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Hold"}})
            assert asked.acquire(timeout=20.0)  # everything was dropped meanwhile
            fickle.away = False
        found = until(client, CHANGES, "ops-1", is_rolling_back)["status"]
    assert found["decision"]["reason"] == "RequestedByOperator"


def test_a_rollback_decided_while_the_api_was_away_outlives_its_guard(
    client: KubernetesClient, cluster: FakeCluster, plan: Plan, guard: None, tmp_path: Path
) -> None:
    open_with_traffic(client, plan, "RollBack")
    fickle = Fickle(str(cluster.write_kubeconfig(tmp_path / "other")))
    with guarding(fickle, tmp_path / "artifacts"):
        assert fickle.refused.wait(20.0)
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Hold"}})
    with guarding(client, tmp_path / "artifacts"):
        found = until(client, CHANGES, "ops-1", is_rolling_back)["status"]
    assert found["decision"]["reason"] == "RequestedByOperator"
    assert not list((tmp_path / "artifacts").rglob(FILE))
