import json
import math

import numpy as np
import pytest

from guard.core.latency_evidence import LatencyEvidence

ALONE = 555.0  # what TTFT needs by itself: 111 / .20


def _wander(rng, n, sd, seconds, every):
    x, keep = np.empty(n), math.exp(-every / seconds)
    x[0] = rng.normal(0, sd)
    for i in range(1, n):
        x[i] = keep * x[i - 1] + rng.normal(0, sd * math.sqrt(1 - keep**2))
    return x


def _ratios(seed, *, slower=1.0, seconds=600.0, every=2.0, sd=0.1, queueing=0.0, own=0.3):
    """Log-ratios of pairs of one replica each: slow noise, queueing of seconds, the requests' own spread."""
    rng, n = np.random.default_rng(seed), int(seconds / every)
    arms = [_wander(rng, n, sd, 120.0, every) + _wander(rng, n, queueing, 10.0, every) for _ in range(2)]
    return arms[0] - arms[1] + rng.normal(0, own * math.sqrt(2), n) + math.log(slower)


def _add(evidence, at, log_ratio):
    evidence.add_pairs(np.array([at]), np.array([log_ratio]))


def _run(ratios, every=2.0):
    """The evidence after all pairs, and when it first reached the threshold."""
    evidence, reached = LatencyEvidence("ttft", 0.0), None
    for i, d in enumerate(ratios):
        at = (i + 1) * every
        _add(evidence, at, d)
        if i % 5 == 4 and reached is None and evidence.evidence(at) >= ALONE:
            reached = at
    return evidence, reached


FEW_OR_MANY = pytest.mark.parametrize("rollouts", [6, pytest.param(75, marks=pytest.mark.rates)])


@FEW_OR_MANY
@pytest.mark.parametrize("queueing", [0.0, 0.3])
def test_equal_arms_under_correlated_noise_do_not_reach_the_threshold(queueing, rollouts):
    reached = [_run(_ratios(seed, queueing=queueing))[1] for seed in range(rollouts)]
    assert not any(reached)


@FEW_OR_MANY
def test_a_canary_within_the_margin_is_no_evidence(rollouts):
    reached = [_run(_ratios(seed, slower=1.08))[1] for seed in range(rollouts)]
    assert not any(reached)


@FEW_OR_MANY
def test_three_times_the_ttft_is_found(rollouts):
    reached = [_run(_ratios(seed, slower=3.0))[1] for seed in range(rollouts)]
    assert all(reached)
    assert np.median(reached) <= 150


def test_effect_stands_with_an_interval_that_holds_it():
    evidence, _ = _run(_ratios(1, slower=2.0))
    evidence.evidence(1200.0)
    ratio, low, high = evidence.effect
    assert low < 2.0 < high
    assert low < ratio < high


def test_nothing_seen_is_no_evidence():
    evidence = LatencyEvidence("ttft", 0.0)
    assert evidence.evidence(500.0) == pytest.approx(1.0)
    assert evidence.effect is None


def test_one_stuck_request_is_not_a_slowdown():
    usual = _ratios(1, sd=0.0, seconds=120)
    stuck = usual.copy()
    stuck[40] = math.log(300)
    assert _run(stuck)[0].evidence(120.0) < 20


def test_pairs_that_are_no_number_are_ignored():
    evidence = LatencyEvidence("ttft", 0.0)
    evidence.add_pairs(np.array([1.0, math.nan]), np.array([math.inf, 0.1]))
    assert evidence.evidence(20.0) == 1.0
    assert evidence.seen.pairs == 0


def test_resumed_evidence_goes_on_with_the_same_numbers():
    ratios = _ratios(7, slower=1.5, seconds=300)
    whole, first = LatencyEvidence("ttft", 0.0), LatencyEvidence("ttft", 0.0)
    for i, d in enumerate(ratios):
        _add(whole, 2.0 * i, d)
    for i, d in enumerate(ratios[:70]):
        _add(first, 2.0 * i, d)
    first.evidence(133.0)
    second = LatencyEvidence.from_state(json.loads(json.dumps(first.state())))
    for i, d in enumerate(ratios[70:], 70):
        _add(second, 2.0 * i, d)
    assert second.evidence(300.0) == whole.evidence(300.0)
