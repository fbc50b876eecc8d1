"""Claims about the end of a Change: it is reached once, and what is left to do after it is tried again."""

from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import CHANGES, KubernetesClient
from guard.api.change import Plan
from guard.core.change import Intent
from guard.daemon.change_object import FINALIZER
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE
from tests.daemon.harness import Harness
from tests.daemon.test_loop import guard as guard
from tests.daemon.test_loop import guarding, is_finished, is_pending, open_change, until

pytestmark = pytest.mark.component


@pytest.mark.parametrize("ending", ["Promoted", "RolledBack"])
def test_an_end_stands_whatever_is_asked_for_afterwards(ending: str) -> None:
    harness = Harness()
    if ending == "RolledBack":
        harness.until("Progressing")
        harness.run.intent = Intent.ROLL_BACK
    harness.until("Finished", canary=(5, 0), stable=(5, 0))
    progress, writes = harness.run.progress, list(harness.target.writes)
    harness.run.intent = Intent.ROLL_BACK
    for _ in range(10):
        harness.tick()
    assert (progress.phase, progress.reason, harness.target.writes) == ("Finished", ending, writes)


def hold(client: KubernetesClient) -> None:
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"metadata": {"finalizers": [FINALIZER]}})


def until_released(client: KubernetesClient) -> None:
    for _, found in client.watch(CHANGES, NAMESPACE, "0", seconds=30):
        if is_finished(found.get("status") or {}) and not found["metadata"].get("finalizers"):
            return
    raise AssertionError("the finalizer was never removed")


def test_closing_that_failed_once_is_tried_again(
    client: KubernetesClient, cluster: FakeCluster, plan: Plan, guard: None, tmp_path: Path
) -> None:
    with guarding(client, tmp_path):
        open_change(client, plan)
        until(client, CHANGES, "ops-1", is_pending)
        hold(client)
        cluster.fail_next(1, method="GET", path="/changes/ops-1")
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
        until_released(client)


def test_a_finished_change_that_a_predecessor_held_on_to_is_let_go(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path
) -> None:
    with guarding(client, tmp_path):
        open_change(client, plan)
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
        until(client, CHANGES, "ops-1", is_finished)
    hold(client)
    with guarding(client, tmp_path):
        until_released(client)
