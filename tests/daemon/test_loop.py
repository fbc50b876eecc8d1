"""Claims about the loop, against the API over HTTP; no pods run, so that each Change stays Pending."""

import threading
from collections.abc import Callable, Iterator
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


def not_asked(*_: Any) -> Any:
    raise AssertionError("no suite is scheduled here")


@pytest.fixture
def daemon(client: KubernetesClient, plan: Plan, tmp_path: Path) -> Iterator[Daemon]:
    (guard,) = documents("stack/manifests/demo/guard.yaml")
    client.create(GUARDS, NAMESPACE, guard)
    upkeep = Upkeep(client, NAMESPACE, tmp_path, not_asked, lambda report: {})
    daemon = Daemon(client, NAMESPACE, "test", tmp_path, lambda report: {}, upkeep)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join()


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
    client: KubernetesClient, plan: Plan, daemon: Daemon
) -> None:
    open_change(client, plan)
    assert observed(until(client, CHANGES, "ops-1", is_pending)) == {1}
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    assert observed(until(client, CHANGES, "ops-1", is_finished)) == {2}


def test_a_guard_names_the_change_under_way(client: KubernetesClient, plan: Plan, daemon: Daemon) -> None:
    open_change(client, plan)
    until(client, GUARDS, "chat", lambda status: status.get("change") == "ops-1")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
    until(client, CHANGES, "ops-1", is_finished)
    until(client, GUARDS, "chat", lambda status: bool(status) and "change" not in status)
