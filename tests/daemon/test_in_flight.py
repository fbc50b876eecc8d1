"""Claims about counting what the canary's pods still work on."""

import threading
from collections.abc import Iterator

import pytest

from guard.adapters.endpoint import Endpoint
from guard.daemon.in_flight import ROUND_SECONDS, InFlight

ONE, TWO = Endpoint("http://10.0.0.1:8000"), Endpoint("http://10.0.0.2:8000")


class Pods:
    """Answers of pods; one of `hanging` answers only when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()
        self.hanging: set[str] = set()
        self.counts: dict[str, int | None] = {ONE.url: 2, TWO.url: 3}

    def ask(self, endpoint: Endpoint) -> int | None:
        self.asked.append(endpoint.url)
        if endpoint.url in self.hanging:
            self.let_go.wait(30.0)
        return self.counts[endpoint.url]


@pytest.fixture
def pods() -> Iterator[Pods]:
    pods = Pods()
    yield pods
    pods.let_go.set()


@pytest.fixture
def in_flight(pods: Pods) -> Iterator[InFlight]:
    in_flight = InFlight(pods.ask)
    yield in_flight
    in_flight.stop()


def answered(in_flight: InFlight, *endpoints: Endpoint) -> None:
    for endpoint in endpoints:
        in_flight._asked[endpoint.url].result(timeout=30.0)


def test_requests_of_all_pods_are_added(pods: Pods, in_flight: InFlight) -> None:
    assert in_flight.count([ONE, TWO], 0.0) is None
    answered(in_flight, ONE, TWO)
    assert in_flight.count([ONE, TWO], 1.0) == 5


def test_a_pod_that_hangs_delays_neither_the_caller_nor_the_others(pods: Pods, in_flight: InFlight) -> None:
    pods.hanging.add(ONE.url)
    assert in_flight.count([ONE, TWO], 0.0) is None
    answered(in_flight, TWO)
    assert in_flight.count([ONE, TWO], ROUND_SECONDS - 1) is None
    assert in_flight.count([ONE, TWO], ROUND_SECONDS) == 3


def test_a_pod_that_hangs_is_not_asked_again_meanwhile(pods: Pods, in_flight: InFlight) -> None:
    pods.hanging.add(ONE.url)
    for number in range(4):
        in_flight.count([ONE], 2 * number * ROUND_SECONDS)
        in_flight.count([ONE], (2 * number + 1) * ROUND_SECONDS)
    assert pods.asked == [ONE.url]


def test_a_pod_that_does_not_tell_counts_as_none(pods: Pods, in_flight: InFlight) -> None:
    pods.counts[ONE.url] = None
    in_flight.count([ONE, TWO], 0.0)
    answered(in_flight, ONE, TWO)
    assert in_flight.count([ONE, TWO], 1.0) == 3


def test_without_pods_nothing_is_in_flight(in_flight: InFlight) -> None:
    assert in_flight.count([], 0.0) == 0
