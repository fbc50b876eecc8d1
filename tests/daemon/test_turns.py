"""Claims about whose turn it is among the Changes of one Guard, against the API over HTTP; no pods run."""

from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import CHANGES, KubernetesClient
from guard.api.change import Plan
from guard.core.change import Phase
from guard.daemon.progress import Progress
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE
from tests.daemon.test_loop import guard as guard
from tests.daemon.test_loop import guarding, is_pending, open_change, until

pytestmark = pytest.mark.component


def set_phase(client: KubernetesClient, name: str, phase: Phase) -> None:
    """What a predecessor wrote."""
    progress = Progress(opened_at=1_800_000_000.0)
    progress.enter(phase, progress.opened_at, "Held", "as a predecessor left it")
    client.patch_merge(CHANGES, NAMESPACE, name, {"status": progress.to_status(3)}, "status")


def test_a_change_that_was_begun_goes_before_older_ones_that_were_not(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path
) -> None:
    open_change(client, plan, "ops-1")
    open_change(client, plan, "ops-2")
    set_phase(client, "ops-2", Phase.TESTING)
    with guarding(client, tmp_path):
        found = until(client, CHANGES, "ops-1", is_pending)["status"]
    assert (found["reason"], found["message"]) == ("Queued", "waits for change/ops-2")


def test_a_change_that_could_not_be_begun_at_once_keeps_its_turn(
    client: KubernetesClient, cluster: FakeCluster, plan: Plan, guard: None, tmp_path: Path
) -> None:
    open_change(client, plan, "ops-1")
    open_change(client, plan, "ops-2")
    set_phase(client, "ops-1", Phase.TESTING)
    cluster.fail_next(3, method="GET", path="/changes/ops-1")
    with guarding(client, tmp_path):
        found = until(client, CHANGES, "ops-2", is_pending)["status"]
    assert (found["reason"], found["message"]) == ("Queued", "waits for change/ops-1")
