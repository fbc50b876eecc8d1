"""Claims about a watch that lags behind, or skips what happened between two looks."""

import threading
from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import CHANGES, GUARDS, KubernetesClient, Object
from guard.api.change import Plan
from guard.core.change import Phase, Reason
from guard.daemon.observe import Namespace
from guard.daemon.progress import Progress
from tests.daemon.conftest import NAMESPACE, documents
from tests.daemon.test_loop import guard as guard
from tests.daemon.test_loop import guarding, is_pending, open_change, until

pytestmark = pytest.mark.component

PATIENCE_SECONDS = 30.0


class Rounds:
    """The watched Changes as a test says, for as long as it says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[Object] | None = None
        self.looks = 0
        self._real = Namespace.changes.fget  # type: ignore[attr-defined]
        self._more = threading.Condition()
        monkeypatch.setattr(Namespace, "changes", property(self._look))

    def _look(self, namespace: Namespace) -> list[Object]:
        with self._more:
            self.looks += 1
            self._more.notify_all()
        return self._real(namespace) if self.told is None else self.told

    def wait(self, more: int) -> None:
        with self._more:
            wanted = self.looks + more
            assert self._more.wait_for(lambda: self.looks >= wanted, PATIENCE_SECONDS)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(monkeypatch)


def test_what_another_guard_has_finished_is_not_begun_again_from_a_stale_watch(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path, rounds: Rounds
) -> None:
    open_change(client, plan)
    progress = Progress(opened_at=1_800_000_000.0)
    progress.enter(Phase.TESTING, progress.opened_at, "TestingBeforeTraffic", "suites")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"status": progress.to_status(3)}, "status")
    rounds.told = [client.get(CHANGES, NAMESPACE, "ops-1")]
    progress.end(Reason.PROMOTED, progress.opened_at, "promoted")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"status": progress.to_status(3)}, "status")
    with guarding(client, tmp_path):
        rounds.wait(8)
    assert client.get(CHANGES, NAMESPACE, "ops-1")["status"]["reason"] == "Promoted"


def test_a_change_that_was_deleted_and_opened_anew_between_two_looks_begins_anew(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path, rounds: Rounds
) -> None:
    with guarding(client, tmp_path):
        open_change(client, plan)
        rounds.told = [until(client, CHANGES, "ops-1", is_pending)]
        client.delete(CHANGES, NAMESPACE, "ops-1")
        open_change(client, plan)
        new = client.get(CHANGES, NAMESPACE, "ops-1")["metadata"]["uid"]
        rounds.told = None

        def begun(found: Object) -> bool:
            return found["metadata"].get("uid") == new and is_pending(found.get("status") or {})

        for _, found in client.watch(CHANGES, NAMESPACE, "0", seconds=10):
            if begun(found):
                return
    raise AssertionError("the new Change was never taken up")


def test_a_guard_that_is_created_anew_gets_its_status_again(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guarding(client, tmp_path):
        old = until(client, GUARDS, "chat", lambda status: bool(status.get("conditions")))
        monkeypatch.setattr(Namespace, "guards", property(lambda _: [old]))
        client.delete(GUARDS, NAMESPACE, "chat")
        (document,) = documents("stack/manifests/demo/guard.yaml")
        new = client.create(GUARDS, NAMESPACE, document)
        monkeypatch.setattr(Namespace, "guards", property(lambda _: [new]))
        for _, found in client.watch(GUARDS, NAMESPACE, new["metadata"]["resourceVersion"], seconds=10):
            if (found.get("status") or {}).get("conditions"):
                return
    raise AssertionError("the new Guard's status was never written")
