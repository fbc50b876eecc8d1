import json

import numpy as np
import pytest

from guard.core.error_evidence import ErrorEvidence, Observed
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


@pytest.mark.parametrize("rollouts", [15, pytest.param(150, marks=pytest.mark.component)])
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


@pytest.mark.parametrize("rollouts", [15, pytest.param(150, marks=pytest.mark.component)])
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
