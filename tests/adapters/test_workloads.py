"""Claims about reading Deployments, pods and endpoints."""

from typing import Any

from guard.adapters.workloads import Address, endpoint_addresses, replicas


def part(*endpoints: dict[str, Any], service: str = "chat-canary", namespace: str = "inference") -> Any:
    labels = {"kubernetes.io/service-name": service}
    return {"metadata": {"namespace": namespace, "labels": labels}, "endpoints": list(endpoints)}


def endpoint(ip: str, pod: str | None = None, ready: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": [ip], "conditions": {"ready": ready}}
    return {**found, "targetRef": {"kind": "Pod", "name": pod}} if pod else found


def test_an_address_carries_the_name_of_its_pod() -> None:
    slices = [part(endpoint("10.0.0.2", "chat-b"), endpoint("10.0.0.1", "chat-a"))]
    found = endpoint_addresses("chat-canary", "inference", slices)
    assert found == [Address("10.0.0.1", "chat-a"), Address("10.0.0.2", "chat-b")]


def test_an_endpoint_without_a_pod_has_an_address_only() -> None:
    outside = {**endpoint("10.0.0.9"), "targetRef": {"kind": "Node", "name": "worker-1"}}
    slices = [part(endpoint("10.0.0.1"), outside)]
    assert endpoint_addresses("chat-canary", "inference", slices) == [
        Address("10.0.0.1"),
        Address("10.0.0.9"),
    ]


def test_only_ready_endpoints_of_the_service_are_asked() -> None:
    slices = [
        part(endpoint("10.0.0.1", "chat-a", ready=False)),
        part(endpoint("10.0.0.2", "other"), service="chat-stable"),
        part(endpoint("10.0.0.3", "elsewhere"), namespace="default"),
    ]
    assert endpoint_addresses("chat-canary", "inference", slices) == []


def test_a_pod_says_since_when_it_is_ready_in_unix_seconds() -> None:
    deployment = {
        "metadata": {"namespace": "inference"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}},
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T08:00:00Z"}
    metadata = {"name": "chat-a", "namespace": "inference", "labels": {"app": "chat"}}
    running = {"metadata": metadata, "status": {"conditions": [ready]}}
    (found,) = replicas(deployment, [running])
    assert (found.ready, found.ready_at) == (True, 1_800_000_000.0)
    (starting,) = replicas(
        deployment, [{**running, "status": {"conditions": [{**ready, "status": "False"}]}}]
    )
    assert (starting.ready, starting.ready_at) == (False, None)
