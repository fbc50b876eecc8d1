"""Which pods a Service's slices list, and how."""

from typing import Any

import pytest

from guard.testing.pods.endpoints import PORTS_ANNOTATION, slices_for

SERVICE = {
    "metadata": {"name": "chat", "namespace": "inference", "uid": "s"},
    "spec": {"selector": {"app": "chat"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}


def pod(name: str, ready: bool = True, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    base = {"name": name, "namespace": "inference", "uid": name, "labels": {"app": "chat"}}
    return {
        "metadata": base | metadata,
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8000}]}]},
        "status": {"podIP": f"127.20.0.{len(name)}", "phase": phase, "conditions": conditions},
    }


def conditions_of(*pods: dict[str, Any]) -> dict[str, dict[str, bool]]:
    slices = slices_for(SERVICE, pods)
    return {e["targetRef"]["name"]: e["conditions"] for s in slices for e in s["endpoints"]}


@pytest.mark.parametrize(
    ("found", "ready", "serving", "terminating"),
    [
        pytest.param(pod("a"), True, True, False, id="a ready pod"),
        pytest.param(pod("a", ready=False), False, False, False, id="a pod that is not ready"),
        pytest.param(
            pod("a", deletionTimestamp="t"), False, True, True, id="an ending pod that can still answer"
        ),
    ],
)
def test_conditions(found: dict[str, Any], ready: bool, serving: bool, terminating: bool) -> None:
    assert conditions_of(found) == {"a": {"ready": ready, "serving": serving, "terminating": terminating}}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(pod("a", phase="Failed"), id="a finished pod"),
        pytest.param(pod("a", labels={"app": "other"}), id="other labels"),
        pytest.param(pod("a", namespace="other"), id="another namespace"),
    ],
)
def test_not_listed(found: dict[str, Any]) -> None:
    assert conditions_of(found) == {}


def test_a_named_target_port_is_the_containers() -> None:
    (only,) = slices_for(SERVICE, [pod("a"), pod("bb")])
    assert only["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    assert [e["addresses"] for e in only["endpoints"]] == [["127.20.0.1"], ["127.20.0.2"]]


def test_pods_with_different_ports_are_in_different_slices() -> None:
    moved = pod("bb", annotations={PORTS_ANNOTATION: "8000:41234"})
    slices = slices_for(SERVICE, [pod("a"), moved])
    assert sorted(s["ports"][0]["port"] for s in slices) == [8000, 41234]
    assert len({s["metadata"]["name"] for s in slices}) == 2


def test_a_service_without_pods_has_one_empty_slice() -> None:
    (only,) = slices_for(SERVICE, [])
    assert only["endpoints"] == []
