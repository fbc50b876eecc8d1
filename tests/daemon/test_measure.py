"""Claims about what is measured while a Change runs: when the gateway's access log may be believed."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guard.adapters.kubernetes.client import ENDPOINT_SLICES, Object, Resource
from guard.adapters.signals import access_log
from guard.api.guard import GuardSpec
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.daemon import measure
from guard.daemon.measure import Measurements
from guard.errors import UnreachableError

AT = 1795455885.5
LINE = {
    "ServiceName": "httproute-x-svc-inference-chat-canary-1@kubernetesgateway",
    "ServiceAddr": "127.20.0.3:8000",
    "DownstreamStatus": 200,
    "Duration": 1500000000,
    "StartUTC": "2026-11-23T17:44:45.500000000Z",
}


class Cluster:
    """A gateway of some pods whose logs can be read, or not; their metrics cannot."""

    def __init__(self, *pods: str) -> None:
        self.pods = pods
        self.lines = [json.dumps(LINE).encode()]
        self.unreadable: set[str] = set()
        self.asked: list[str] = []

    def list(self, resource: Resource, namespace: str) -> Object:
        key = {"namespace": namespace, "labels": {"kubernetes.io/service-name": "gateway-metrics"}}
        service = {"metadata": {**key, "name": "gateway-metrics"}, "spec": {"ports": [{"port": 9100}]}}
        endpoints = [
            {"addresses": [f"127.0.0.{n}"], "targetRef": {"name": pod}} for n, pod in enumerate(self.pods, 1)
        ]
        part = {"metadata": key, "ports": [{"port": 1}], "endpoints": endpoints}
        return {"items": [part if resource is ENDPOINT_SLICES else service]}

    def log(self, namespace: str, pod: str, since_seconds: int, **_: object) -> Iterator[bytes]:
        self.asked.append(pod)
        if pod in self.unreadable:
            raise UnreachableError("no log")
        yield from self.lines


@pytest.fixture
def measuring(
    guard_spec: GuardSpec, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Any], Measurements]]:
    monkeypatch.setattr(access_log, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(measure, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(measure, "RESOLVE_SECONDS", 0.0)
    monkeypatch.setattr(measure, "LOG_SECONDS", 0.3)
    gateway = guard_spec.signals.gateway.model_copy(
        update={"url": "http://gateway-metrics.gateway:9100/metrics"}
    )
    probes = guard_spec.signals.probes.model_copy(update={"per_minute": 0})
    signals = guard_spec.signals.model_copy(update={"gateway": gateway, "probes": probes})
    begun: list[Measurements] = []

    def start(cluster: Any) -> Measurements:
        spec = guard_spec.model_copy(update={"signals": signals})
        begun.append(Measurements(cluster, "inference", spec, dict, lambda: None))
        begun[-1].start()
        return begun[-1]

    yield start
    for one in begun:
        one.stop()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_the_canarys_last_request_is_known_while_every_log_is_followed(
    measuring: Callable[[Any], Measurements],
) -> None:
    cluster = Cluster("gateway-0", "gateway-1")
    measurements = measuring(cluster)
    until(lambda: measurements.last_canary_request_at == AT)
    seen = measurements.log_seen_until
    until(lambda: measurements.log_seen_until != seen)


def test_nothing_is_concluded_from_a_log_that_is_no_longer_followed(
    measuring: Callable[[Any], Measurements],
) -> None:
    cluster = Cluster("gateway-0", "gateway-1")
    measurements = measuring(cluster)
    until(lambda: measurements.last_canary_request_at == AT)
    cluster.unreadable = {"gateway-1"}
    until(lambda: measurements.last_canary_request_at is None)
    cluster.unreadable = set()
    until(lambda: measurements.last_canary_request_at == AT)


def test_a_log_that_was_never_read_says_nothing(measuring: Callable[[Any], Measurements]) -> None:
    cluster = Cluster("gateway-0", "gateway-1")
    cluster.unreadable = {"gateway-1"}
    measurements = measuring(cluster)
    until(lambda: all(cluster.asked.count(pod) > 2 for pod in cluster.pods))
    assert measurements.log_seen_until is None
    assert measurements.last_canary_request_at is None


def test_a_gateway_pod_that_is_gone_does_not_blind_for_ever(measuring: Callable[[Any], Measurements]) -> None:
    cluster = Cluster("gateway-0", "gateway-1")
    cluster.unreadable = {"gateway-1"}
    measurements = measuring(cluster)
    cluster.pods = ("gateway-0",)
    until(lambda: measurements.last_canary_request_at == AT)


def test_a_gateway_without_pods_is_not_read_as_no_traffic(measuring: Callable[[Any], Measurements]) -> None:
    measurements = measuring(Cluster())
    until(lambda: "no ready endpoint" in (measurements.blind_because(time.monotonic() + 60) or ""))
    assert measurements.seen_until is None


class NoRequests:
    """Counters that can always be read."""

    def read(self, urls: list[str]) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def test_requests_are_seen_from_the_first_reading_of_the_newest_pod_on(
    measuring: Callable[[Any], Measurements], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "GatewayCounters", NoRequests)
    cluster = Cluster("gateway-0")
    cluster.unreadable = {"gateway-0", "gateway-1"}
    measurements = measuring(cluster)
    until(lambda: measurements.seen_from is not None)
    first = measurements.seen_from
    cluster.pods = ("gateway-0", "gateway-1")
    until(lambda: measurements.seen_from != first)


def test_a_request_that_waits_does_not_wake_the_guard(guard_spec: GuardSpec) -> None:
    woken: list[int] = []
    client: Any = None
    measurements = Measurements(client, "inference", guard_spec, dict, lambda: woken.append(1))
    waiting = RequestSample("tidegate-1", Source.PROBE, Arm.CANARY, sent_at=1.0)
    ended = RequestSample("tidegate-1", Source.PROBE, Arm.CANARY, sent_at=1.0, outcome=Outcome.OK)
    measurements._take_sample(waiting)
    assert not woken
    measurements._take_sample(ended)
    assert woken
    assert measurements.take().samples == [waiting, ended]
