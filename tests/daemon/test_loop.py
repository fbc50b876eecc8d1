"""Claims about the loop, against the API over HTTP; no pods run, so that each Change stays Pending."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.kubernetes.client import CHANGES, GUARDS, KubernetesClient, Object, Resource
from guard.adapters.opening import change_document
from guard.api.change import Plan
from guard.core.change import Phase
from guard.daemon.loop import Daemon
from guard.daemon.upkeep import Upkeep
from tests.daemon.conftest import NAMESPACE, documents

pytestmark = pytest.mark.component


def not_asked(*_: Any) -> Any:
    raise AssertionError("no suite is scheduled here")


@contextmanager
def guarding(client: KubernetesClient, folder: Path) -> Iterator[None]:
    """A daemon at work, which leaves the Lease to its successor."""
    upkeep = Upkeep(client, NAMESPACE, folder, not_asked, lambda report: {})
    daemon = Daemon(client, NAMESPACE, "test", folder, lambda report: {}, upkeep)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield
    finally:
        daemon.stop()
        thread.join()


@pytest.fixture
def guard(client: KubernetesClient, plan: Plan) -> None:
    (document,) = documents("stack/manifests/demo/guard.yaml")
    client.create(GUARDS, NAMESPACE, document)


@pytest.fixture
def daemon(client: KubernetesClient, guard: None, tmp_path: Path) -> Iterator[None]:
    with guarding(client, tmp_path):
        yield


def open_change(client: KubernetesClient, plan: Plan, name: str = "ops-1") -> None:
    client.create(CHANGES, NAMESPACE, change_document(name, "chat", "OPS-1", "R1", "ann", plan))


def until(client: KubernetesClient, resource: Resource, name: str, holds: Callable[[Object], bool]) -> Object:
    """The first version of an object's status of which it holds."""
    for _, found in client.watch(resource, NAMESPACE, "0", seconds=30):
        if found["metadata"].get("name") == name and holds(found.get("status") or {}):
            return found
    raise AssertionError(f"{resource.plural}/{name} never came to that")


def is_pending(status: Object) -> bool:
    return status.get("phase") == Phase.PENDING


def is_finished(status: Object) -> bool:
    return status.get("phase") == Phase.FINISHED


def observed(change: Object) -> set[int]:
    return {condition["observedGeneration"] for condition in change["status"]["conditions"]}


def test_conditions_say_which_generation_of_the_change_they_speak_of(
    client: KubernetesClient, plan: Plan, daemon: None
) -> None:
    open_change(client, plan)
    assert observed(until(client, CHANGES, "ops-1", is_pending)) == {1}
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    assert observed(until(client, CHANGES, "ops-1", is_finished)) == {2}


def test_a_guard_names_the_change_under_way(client: KubernetesClient, plan: Plan, daemon: None) -> None:
    open_change(client, plan)
    until(client, GUARDS, "chat", lambda status: status.get("change") == "ops-1")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    until(client, CHANGES, "ops-1", is_finished)
    until(client, GUARDS, "chat", lambda status: bool(status) and "change" not in status)


def edit(client: KubernetesClient) -> None:
    """Four hours more for a plan that was opened: nothing that the plan's own digest covers."""
    deadlines = {"plan": {"guard": {"deadlines": {"change": "8h"}}}}
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": deadlines})


def is_held_as_edited(status: Object) -> bool:
    return "was edited" in status.get("message", "")


def test_a_spec_edited_under_way_is_noticed(client: KubernetesClient, plan: Plan, daemon: None) -> None:
    open_change(client, plan)
    until(client, CHANGES, "ops-1", is_pending)
    edit(client)
    until(client, CHANGES, "ops-1", is_held_as_edited)


def test_a_spec_edited_while_no_guard_looked_is_noticed_by_its_successor(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path
) -> None:
    with guarding(client, tmp_path):
        open_change(client, plan)
        until(client, CHANGES, "ops-1", is_pending)
    edit(client)
    with guarding(client, tmp_path):
        until(client, CHANGES, "ops-1", is_held_as_edited)


def test_an_action_is_no_edit(client: KubernetesClient, plan: Plan, daemon: None) -> None:
    open_change(client, plan)
    until(client, CHANGES, "ops-1", is_pending)
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    found = until(client, CHANGES, "ops-1", is_finished)
    assert (found["status"]["reason"], found["status"]["message"]) == ("Abandoned", "closed by an operator")


def test_a_change_behind_another_says_so_and_begins_when_that_has_ended(
    client: KubernetesClient, plan: Plan, daemon: None
) -> None:
    open_change(client, plan)
    until(client, CHANGES, "ops-1", is_pending)
    open_change(client, plan, "ops-2")
    found = until(client, CHANGES, "ops-2", is_pending)["status"]
    assert (found["reason"], found["message"]) == ("Queued", "waits for change/ops-1")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    found = until(client, CHANGES, "ops-2", lambda s: is_pending(s) and s["reason"] != "Queued")["status"]
    assert found["timeline"][0]["kind"] == "Queued"


def test_a_change_that_is_closed_while_it_waits_ends_without_a_turn(
    client: KubernetesClient, plan: Plan, daemon: None
) -> None:
    open_change(client, plan)
    until(client, CHANGES, "ops-1", is_pending)
    open_change(client, plan, "ops-2")
    client.patch_merge(CHANGES, NAMESPACE, "ops-2", {"spec": {"action": "Close"}})
    assert until(client, CHANGES, "ops-2", is_finished)["status"]["reason"] == "Abandoned"
    assert is_pending(client.get(CHANGES, NAMESPACE, "ops-1")["status"])


def test_what_an_operator_asks_for_stands_in_the_timeline_once_with_who(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path
) -> None:
    by_ann = {"metadata": {"annotations": {"tidegate.dev/asked-by": "Hold ann"}}, "spec": {"action": "Hold"}}
    with guarding(client, tmp_path):
        open_change(client, plan)
        until(client, CHANGES, "ops-1", is_pending)
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", by_ann)
        until(client, CHANGES, "ops-1", lambda status: bool(status.get("timeline")))
    with guarding(client, tmp_path):
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
        found = until(client, CHANGES, "ops-1", is_finished)["status"]["timeline"]
    assert [(entry["kind"], entry["message"]) for entry in found] == [
        ("OperatorHold", "Hold, asked for by ann"),
        ("OperatorClose", "Close, asked for by an operator"),
        ("Abandoned", "closed by an operator"),
    ]
