import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guard.core.error_evidence import ErrorEvidence, Observed
from guard.core.observations import Marks
from guard.core.samples import Arm


def _blocks(rng, *, seconds, canary_ratio, baseline_ratio, canary_rate=0.5, baseline_rate=1.0, block=2.0):
    for i in range(int(seconds / block)):
        at = (i + 1) * block - 0.5
        for arm, rate, ratio in (
            (Arm.CANARY, canary_rate, canary_ratio),
            (Arm.BASELINE, baseline_rate, baseline_ratio),
        ):
            n = int(rng.poisson(rate * block))
            yield Observed(at, arm, str(arm), n, int(rng.binomial(n, ratio)))


def _evidence(observed, now, start=0.0):
    evidence = ErrorEvidence(start)
    for one in observed:
        evidence.add(one)
    return evidence, evidence.evidence(now)


def _e(seed, now=300.0, **options):
    rng = np.random.default_rng(seed)
    return _evidence(_blocks(rng, seconds=300, **options), now)[1]


def test_without_canary_traffic_there_is_no_evidence():
    assert _evidence([Observed(5.0, Arm.BASELINE, "b", 10, 5)], 100.0)[1] == 1.0


def test_a_quarter_of_canary_errors_against_none_is_evidence_beyond_the_threshold():
    values = [_e(seed, canary_ratio=0.25, baseline_ratio=0.0) for seed in range(10)]
    assert sorted(values)[1] > 317


@pytest.mark.parametrize("rollouts", [15, pytest.param(150, marks=pytest.mark.rates)])
@pytest.mark.parametrize("ratio", [0.0, 0.02, 0.1])
def test_evidence_of_equal_arms_with_history_is_below_one_on_average(ratio, rollouts):
    def value(seed):
        rng = np.random.default_rng(seed)
        history = [Observed(-float(i), Arm.BASELINE, "b", 1, int(rng.random() < ratio)) for i in range(300)]
        blocks = _blocks(rng, seconds=300, canary_ratio=ratio, baseline_ratio=ratio)
        return _evidence([*history, *blocks], 300.0)[1]

    values = [value(seed) for seed in range(rollouts)]
    assert np.mean(values) < 1
    assert max(values) < 317


@pytest.mark.parametrize("rollouts", [15, pytest.param(150, marks=pytest.mark.rates)])
def test_without_history_equal_arms_that_fail_a_tenth_still_hardly_ever_reach_the_threshold(rollouts):
    values = [_e(seed, canary_ratio=0.1, baseline_ratio=0.1) for seed in range(rollouts)]
    assert sum(value >= 317 for value in values) <= 0.01 * rollouts


def test_one_burst_of_a_replica_is_one_episode():
    burst = [Observed(20.0 + i / 10, Arm.CANARY, "c", 1, 1) for i in range(40)]
    baseline = [Observed(float(i), Arm.BASELINE, "b", 1, 0) for i in range(300)]
    single = [Observed(20.0, Arm.CANARY, "c", 1, 1)]
    assert _evidence(burst + baseline, 60.0)[1] == pytest.approx(
        _evidence(single + baseline, 60.0)[1], rel=0.05
    )
    assert _evidence(burst + baseline, 60.0)[1] < 10


def test_trouble_that_the_baseline_shares_is_left_out():
    quiet = [Observed(float(i), Arm.BASELINE, "b", 1, 0) for i in range(200)]
    canary = [Observed(100.0 + 6 * i, Arm.CANARY, "c", 2, 2) for i in range(6)]
    shared = [Observed(100.0 + i, Arm.BASELINE, "b", 1, 1) for i in range(40)]
    alone = _evidence(quiet + canary, 200.0)[1]
    together = _evidence(quiet + canary + shared, 200.0)[1]
    assert alone > 317
    assert together < 3


def test_canary_errors_beside_a_silent_baseline_are_no_evidence_but_are_said():
    history = [Observed(float(i), Arm.BASELINE, "b", 1, 0) for i in range(100)]
    errors = [Observed(200.0 + 6 * i, Arm.CANARY, "c", 2, 2) for i in range(8)]
    evidence, value = _evidence(history + errors, 300.0)
    assert value == 1.0
    assert evidence.unexplained_in_silence
    good = [Observed(200.0 + 6 * i, Arm.CANARY, "c", 2, 0) for i in range(8)]
    evidence, _ = _evidence(history + good, 300.0)
    assert not evidence.unexplained_in_silence


def test_what_would_have_been_found_shrinks_with_requests():
    short = ErrorEvidence(0.0)
    long = ErrorEvidence(0.0)
    for evidence, seconds in ((short, 200), (long, 1500)):
        for one in _blocks(np.random.default_rng(1), seconds=seconds, canary_ratio=0, baseline_ratio=0):
            evidence.add(one)
        evidence.evidence(seconds)
    assert short.smallest_ratio_found(317) > long.smallest_ratio_found(317) > 0


def test_evidence_does_not_depend_on_how_often_it_is_asked():
    blocks = list(_blocks(np.random.default_rng(2), seconds=200, canary_ratio=0.2, baseline_ratio=0.02))
    _, at_once = _evidence(blocks, 200.0)
    asked = ErrorEvidence(0.0)
    for one in blocks:
        asked.add(one)
        asked.evidence(one.at)
    assert asked.evidence(200.0) == pytest.approx(at_once, rel=1e-12)


def test_resumed_evidence_goes_on_with_the_same_numbers():
    blocks = list(_blocks(np.random.default_rng(4), seconds=200, canary_ratio=0.2, baseline_ratio=0.02))
    whole, first = ErrorEvidence(0.0), ErrorEvidence(0.0)
    for one in blocks:
        whole.add(one)
    for one in blocks[:90]:
        first.add(one)
    first.evidence(85.0)
    second = ErrorEvidence.from_state(json.loads(json.dumps(first.state())))
    for one in blocks[90:]:
        second.add(one)
    assert second.evidence(200.0) == whole.evidence(200.0)


CANARY = 9  # its code; the baseline's are 0 to 3


def _marks(at, canary, replica):
    n = len(at)
    return Marks(np.asarray(at, float), np.full(n, canary), np.broadcast_to(replica, n).astype(np.int32))


def _singles(
    rng, *, seconds, canary_ratio, baseline_ratio, canary_rate=0.5, baseline_rate=2.0, history=600.0
):
    """Arrivals and failures of requests that end after a second, one canary against four."""
    kinds = []
    for canary, rate, ratio, begin in (
        (True, canary_rate, canary_ratio, 0.0),
        (False, baseline_rate, baseline_ratio, -history),
    ):
        at = np.sort(rng.uniform(begin, seconds, rng.poisson(rate * (seconds - begin))))
        marks = _marks(at, canary, CANARY if canary else rng.integers(0, 4, len(at)))
        bad = rng.random(len(at)) < ratio
        kinds.append((marks, Marks(at[bad] + 1.0, marks.canary[bad], marks.replica[bad])))
    return [
        Marks(*map(np.concatenate, zip(*(tuple(vars(m).values()) for m in of), strict=True)))
        for of in zip(*kinds, strict=True)
    ]


def _fed(arrivals, failures, start=0.0):
    evidence = ErrorEvidence(start)
    evidence.add_arrivals(arrivals)
    evidence.add_failures(failures)
    return evidence


def _between(marks, begin, end):
    rows = (marks.at >= begin) & (marks.at < end)
    return Marks(marks.at[rows], marks.canary[rows], marks.replica[rows])


def _fed_by_tick(arrivals, failures, until, evidence=None, begin=-np.inf, tick=5.0):
    evidence = evidence or ErrorEvidence(0.0)
    for now in np.arange(max(begin, 0.0), until + tick, tick):
        evidence.add_arrivals(_between(arrivals, begin, now))
        evidence.add_failures(_between(failures, begin, now))
        evidence.evidence(now)
        begin = now
    return evidence


def test_single_requests_that_fail_on_the_canary_alone_are_evidence_within_minutes():
    marks = _singles(np.random.default_rng(1), seconds=300, canary_ratio=0.1, baseline_ratio=0.01)
    assert _fed(*marks).evidence(300.0) > 317
    equal = _singles(np.random.default_rng(1), seconds=300, canary_ratio=0.01, baseline_ratio=0.01)
    assert _fed(*equal).evidence(300.0) < 5


def test_the_e_value_is_the_documented_formula():
    """One episode of 20 requests, beside 600 of a baseline without errors, in the first bin."""
    baseline = _marks(np.arange(-590.0, 10.0), False, 0)
    canary, error = _marks(np.arange(0.25, 10.25, 0.5), True, CANARY), _marks([9.8], True, CANARY)
    evidence = ErrorEvidence(0.0)
    for arrivals in (baseline, canary):
        evidence.add_arrivals(arrivals)
    evidence.add_failures(error)
    evidence.add_arrivals(_marks(np.arange(10.0, 20.0), False, 0))
    found = evidence.evidence(20.0)

    allowance = 9.8 / 3600 * 1.0 / (1.1 * 0.5 / 700)  # armed seconds; two a second count as one
    base, exposure = 100 + 610, 1.1 * (20 + allowance)
    bets = [np.exp(np.log(w) - 1.5 * np.log((base + w * exposure) / (base + exposure))) for w in (3.0, 9.0)]
    assert found == pytest.approx(0.6 * np.mean(bets) + 0.4, rel=1e-12)


def test_a_bin_is_judged_when_the_next_one_has_ended():
    arrivals, failures = _singles(np.random.default_rng(2), seconds=10, canary_ratio=1.0, baseline_ratio=0.0)
    evidence = _fed(arrivals, failures)
    assert evidence.evidence(19.9) == 1.0
    assert evidence.evidence(20.0) > 1.0


def test_requests_of_the_canary_before_the_first_step_are_no_evidence():
    history = _marks(np.arange(-300.0, 60.0), False, 0)
    before = _marks(np.arange(-100.0, -1.0), True, CANARY)
    evidence = _fed(history, before)
    evidence.add_arrivals(before)
    assert evidence.evidence(60.0) == 1.0


def test_history_is_ten_minutes():
    def rate(begin):
        evidence = _fed(_marks(np.arange(begin, 0.0), False, 0), _marks([], False, 0))
        evidence.evidence(0.0)
        return evidence.baseline_rate

    assert rate(-5000.0) == rate(-600.0) == 0.5 / 700
    assert rate(-300.0) == 0.5 / 400


@pytest.mark.parametrize("seed", [1, 2])
def test_single_requests_say_the_same_at_once_by_tick_and_in_any_order(seed):
    rng = np.random.default_rng(seed)
    arrivals, failures = _singles(rng, seconds=200, canary_ratio=0.05, baseline_ratio=0.02)
    at_once = _fed(arrivals, failures)
    ticked = _fed_by_tick(arrivals, failures, 200.0)
    order = rng.permutation(len(arrivals.at))
    shuffled = _fed(Marks(arrivals.at[order], arrivals.canary[order], arrivals.replica[order]), failures)
    assert at_once.evidence(200.0) == ticked.evidence(200.0) == shuffled.evidence(200.0)


def test_single_requests_resumed_in_the_middle_of_a_bin_go_on_with_the_same_numbers():
    arrivals, failures = _singles(
        np.random.default_rng(3), seconds=200, canary_ratio=0.1, baseline_ratio=0.02
    )
    whole = _fed_by_tick(arrivals, failures, 200.0)
    first = _fed_by_tick(arrivals, failures, 85.0)
    second = ErrorEvidence.from_state(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert second.evidence(85.0) == first.evidence(85.0)
    _fed_by_tick(arrivals, failures, 200.0, second, begin=85.0)
    assert second.evidence(200.0) == whole.evidence(200.0)
    assert second.state() == whole.state()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 100.0))
def test_another_episode_of_the_canary_never_makes_it_look_better(seed, moment):
    """An error within 5 s of others moves their episode, and with it what is armed."""
    arrivals, failures = _singles(
        np.random.default_rng(seed), seconds=100, canary_ratio=0.03, baseline_ratio=0.01, history=100.0
    )
    assume((np.abs(failures.at[failures.canary] - moment) > 5).all())
    more = _fed(arrivals, failures)
    more.add_failures(_marks([moment], True, CANARY))
    assert more.evidence(120.0) >= _fed(arrivals, failures).evidence(120.0) * (1 - 1e-12)


def test_state_does_not_grow_with_requests():
    sizes = [
        len(
            json.dumps(
                _fed_by_tick(
                    *_singles(
                        np.random.default_rng(4),
                        seconds=100,
                        canary_ratio=0.1,
                        baseline_ratio=0.02,
                        canary_rate=rate,
                        baseline_rate=4 * rate,
                    ),
                    100.0,
                ).state()
            )
        )
        for rate in (1.0, 20.0)
    ]
    assert sizes[1] < 1.3 * sizes[0]


NOBODY = _marks([], True, CANARY)


@pytest.mark.parametrize(
    ("arrivals", "failures"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([np.nan, np.inf, -np.inf], [np.nan], id="no moments"),
        pytest.param([5.0] * 50, [5.0] * 50, id="all at one moment"),
        pytest.param([], [5.0, 25.0, 45.0], id="failures without arrivals"),
        pytest.param([-1e9, 1e9], [-1e9, 1e9], id="far off"),
    ],
)
def test_degenerate_requests_never_raise_and_roll_nothing_back(arrivals, failures):
    for canary in (True, False):
        evidence = _fed(_marks(arrivals, canary, 0), _marks(failures, canary, 0))
        for now in (0.0, 30.0, 20.0, np.nan, 60.0):
            assert 0 < evidence.evidence(now) < 111
        json.dumps(evidence.state(), allow_nan=False)


def test_late_ones_count_in_the_oldest_open_bin():
    def found(error_at):
        evidence = _fed(_marks(np.arange(-300.0, 200.0), False, 0), NOBODY)
        evidence.add_arrivals(_marks(np.arange(0.5, 200.0, 2.0), True, CANARY))
        evidence.evidence(100.0)
        evidence.add_failures(_marks([error_at], True, CANARY))
        return evidence.evidence(200.0)

    assert found(20.0) == found(-900.0) == found(100.0) > 1.0


def test_a_clock_that_leaps_costs_no_more_than_a_thousand_empty_bins():
    evidence = _fed(_marks(np.arange(-300.0, 60.0), False, 0), NOBODY)
    evidence.evidence(100.0)
    assert evidence.evidence(1e12) == 1.0


def test_a_canary_replica_that_vanishes_keeps_what_it_said():
    arrivals, failures = _singles(np.random.default_rng(5), seconds=300, canary_ratio=0.2, baseline_ratio=0.0)
    canary = arrivals.canary
    gone = Marks(arrivals.at[~canary], canary[~canary], arrivals.replica[~canary])
    evidence = _fed(arrivals, failures)
    at_end = evidence.evidence(320.0)
    evidence.add_arrivals(Marks(gone.at + 900, gone.canary, gone.replica))
    assert evidence.evidence(1200.0) >= at_end > 317
