"""Claims about when a fault began."""

import pytest

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.daemon.onset import Onset


def block(start: float, bad: int, arm: Arm = Arm.CANARY) -> CounterBlock:
    return CounterBlock(Source.USER, arm, f"chat-{arm}", start, 1.0, 10, {"500": bad} if bad else {})


def probe(at: float, outcome: Outcome | None) -> RequestSample:
    return RequestSample("tidegate-1", Source.PROBE, Arm.CANARY, scheduled_at=at, outcome=outcome)


def onset(*blocks: CounterBlock) -> Onset:
    found = Onset()
    found.take([], blocks)
    return found


def test_a_fault_begins_with_the_first_bad_request_of_its_run() -> None:
    found = onset(block(100, 0), block(110, 1), block(150, 1), block(200, 0), block(205, 5))
    assert found.at("errors") == 110


def test_a_lonely_error_long_before_is_another_fault() -> None:
    assert onset(block(10, 1), block(300, 4), block(301, 4)).at("hard_limit") == 300


def test_a_new_step_begins_without_signs() -> None:
    found = onset(block(100, 1))
    found.start_step()
    assert found.at("errors") is None
    found.take([], [block(120, 1)])
    assert found.at("errors") == 120


def test_the_stables_errors_are_no_sign() -> None:
    assert onset(block(100, 5, Arm.BASELINE), block(120, 1)).at("errors") == 120


@pytest.mark.parametrize("signal", ["ttft", "quality", "eval", None])
def test_what_no_single_request_shows_has_no_known_onset(signal: str | None) -> None:
    assert onset(block(100, 1)).at(signal) is None


def test_a_bad_probe_is_a_sign_from_its_start_and_a_waiting_one_is_none() -> None:
    found = Onset()
    found.take([probe(90.0, None), probe(95.0, Outcome.OK), probe(97.0, Outcome.TIMEOUT)], [])
    assert found.at("errors") == 97.0


def test_a_restart_of_a_canary_is_a_sign_and_its_getting_ready_is_none() -> None:
    found = Onset()
    found.take_events(
        [PodEvent(50.0, Arm.CANARY, "a", "ready", ""), PodEvent(80.0, Arm.CANARY, "a", "oom", "")]
    )
    assert found.at("hard_limit") == 80.0
