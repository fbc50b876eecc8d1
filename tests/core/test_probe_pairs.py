import math

import pytest

from guard.core.blocks import PodEvent
from guard.core.probe_pairs import ProbePairs
from guard.core.samples import Arm, Outcome, RequestSample, Source


def _half(arm, at, ttft=0.2, outcome=Outcome.OK, pair=None):
    first = None if ttft is None else at + ttft
    return RequestSample(
        f"{arm}-{at}",
        Source.PROBE,
        arm,
        pair_id=pair or str(at),
        scheduled_at=at,
        first_token_at=first,
        outcome=outcome,
    )


def _feed(pairs, start, count, **canary):
    for i in range(count):
        at = start + 2.0 * i
        for arm, options in ((Arm.CANARY, canary), (Arm.BASELINE, {})):
            pairs.add(_half(arm, at, **options))


def _started(weight=50, events=()):
    pairs = ProbePairs(warm_up_seconds=180.0)
    for event in events:
        pairs.add_event(event)
    pairs.start_step(weight)
    return pairs


def _compared(pairs, now=1000.0):
    return len(pairs.known(now))


def test_both_halves_of_a_pair_are_needed():
    pairs = _started()
    pairs.add(_half(Arm.CANARY, 1.0))
    assert _compared(pairs) == 0
    pairs = _started()
    _feed(pairs, 1.0, 3)
    assert _compared(pairs) == 3


def test_a_failed_half_takes_its_partner_with_it_and_a_hang_counts():
    pairs = _started()
    _feed(pairs, 1.0, 3, ttft=None, outcome=Outcome.ERROR)
    assert (_compared(pairs), pairs.left_out) == (0, 3)
    pairs = _started()
    _feed(pairs, 1.0, 3, ttft=None, outcome=Outcome.TIMEOUT)
    assert _compared(pairs) == 3


def test_a_half_that_waits_counts_as_six_times_the_baselines_p99_and_only_once():
    pairs = _started()
    _feed(pairs, 1.0, 10)
    assert pairs.cap_seconds == pytest.approx(1.2)
    hung = _half(Arm.CANARY, 30.0, ttft=None, outcome=None)
    pairs.add(_half(Arm.BASELINE, 30.0))
    pairs.add(hung)
    assert _compared(pairs, 31.1) == 10
    [(at, log_ratio)] = pairs.known(31.3)
    assert (at, log_ratio) == (pytest.approx(31.2), pytest.approx(math.log(6)))
    pairs.add(_half(Arm.CANARY, 30.0, ttft=29.0))
    pairs.add(_half(Arm.BASELINE, 30.0))
    assert (_compared(pairs), pairs.left_out) == (0, 0)


def test_the_first_token_is_enough_and_the_end_of_the_answer_adds_nothing():
    pairs = _started()
    for outcome in (None, Outcome.OK):
        for arm in Arm:
            pairs.add(_half(arm, 5.0, outcome=outcome))
    assert (_compared(pairs, now=10.0), _compared(pairs)) == (1, 0)


def test_few_probes_of_the_baseline_set_no_cap_below_a_minute():
    pairs = _started()
    _feed(pairs, 1.0, 7)
    assert pairs.cap_seconds == 60.0


def test_cold_replicas_are_left_out_for_180_seconds():
    pairs = _started(events=[PodEvent(0.0, Arm.CANARY, "pod", "ready", "")])
    _feed(pairs, 10.0, 3)
    _feed(pairs, 180.0, 2)
    assert (_compared(pairs), pairs.left_out) == (2, 3)


def test_cold_replica_that_is_gone_no_longer_matters():
    pairs = _started()
    pairs.add_event(PodEvent(0.0, Arm.CANARY, "pod", "ready", ""))
    assert "cold" in pairs.left_out_because(50.0)
    pairs.add_event(PodEvent(60.0, Arm.CANARY, "pod", "gone", ""))
    assert pairs.left_out_because(61.0) is None


@pytest.mark.parametrize(
    ("weight", "canaries", "stables", "compared"),
    [(10, 1, 1, True), (50, 1, 1, True), (60, 1, 1, False), (100, 1, 1, False), (60, 2, 1, True)],
)
def test_a_canary_that_carries_more_per_replica_is_not_compared(weight, canaries, stables, compared):
    counts = ((Arm.CANARY, canaries), (Arm.BASELINE, stables))
    events = [PodEvent(-500.0, arm, f"{arm}{i}", "ready", "") for arm, n in counts for i in range(n)]
    assert (_started(weight, events).left_out_because(1.0) is None) == compared
