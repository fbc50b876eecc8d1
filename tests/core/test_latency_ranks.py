import json
import math

import numpy as np
import pytest

from guard.core.latency_ranks import LatencyRanks
from guard.core.observations import Latencies

ALONE = 111 / 0.25  # what TTFT needs by itself


def _rollout(seed, *, slower=1.0, since=0.0, seconds=600.0, replicas=12, per_quarter=6.0, drift=0.0):
    """Requests of replicas with static, slow and own noise; the last replica is the canary's from 0 on."""
    rng, quarters = np.random.default_rng(seed), range(-24, int(seconds / 15))
    machine, wander = rng.normal(0, 0.05, replicas), rng.normal(0, 0.1, replicas)
    rows = []
    for quarter in quarters:
        wander = 0.88 * wander + rng.normal(0, 0.1 * math.sqrt(1 - 0.88**2), replicas)
        for replica, n in enumerate(rng.poisson(per_quarter, replicas)):
            canary = replica == replicas - 1
            if canary and quarter < 0:
                continue
            at = np.sort((quarter + rng.random(n)) * 15)
            logs = machine[replica] + wander[replica] + rng.normal(0, 0.5, n) + drift * math.sin(quarter / 9)
            logs += np.where(canary & (at >= since), math.log(slower), 0)
            rows.append(np.stack([at, np.full(n, canary), np.full(n, replica), np.exp(logs - 1)]))
    table = np.concatenate(rows, axis=1)
    return _latencies(table[:, np.argsort(table[0], kind="stable")])


def _latencies(table):
    at, canary, replica, seconds = table
    return Latencies(at, canary > 0, replica.astype(np.int32), seconds, np.full(len(at), np.nan))


def _between(seen, begin, end):
    rows = (seen.at >= begin) & (seen.at < end)
    return Latencies(*(getattr(seen, name)[rows] for name in vars(seen)))


def _trace(seen, seconds=600.0, every=15.0, evidence=None):
    """The evidence, and its value at every look."""
    evidence = evidence or LatencyRanks("ttft", 0.0)
    evidence.add(_between(seen, -math.inf, 0.0))
    evidence.start_step(0.0, 1, 11)
    values = []
    for now in np.arange(every, seconds + 1, every):
        evidence.add(_between(seen, now - every, now))
        values.append(evidence.evidence(now))
    return evidence, values


def _found(values, every=15.0):
    return next((every * (i + 1) for i, value in enumerate(values) if value >= ALONE), None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_doubled_ttft_is_found_within_three_minutes(seed):
    evidence, values = _trace(_rollout(seed, slower=2.0, seconds=240.0), 240.0)
    assert _found(values) <= 180
    _ratio, low, high = evidence.effect
    assert low < 2.0 < high
    assert evidence.effect_since == 0


@pytest.mark.parametrize("settings", [{}, {"drift": 0.5}, {"per_quarter": 1.5}], ids=str)
def test_good_canaries_stay_below(settings):
    for seed in (11, 12):
        _, values = _trace(_rollout(seed, **settings))
        assert max(values) < 60


def test_late_onset_is_found_and_dated():
    evidence, values = _trace(_rollout(5, slower=2.5, since=300.0, seconds=540.0), 540.0)
    assert 315 <= _found(values) <= 480
    assert abs(evidence.effect_since - 300) <= 60
    _ratio, low, high = evidence.effect
    assert low < 2.5 < high


def test_slower_within_the_margin_is_no_harm():
    _, values = _trace(_rollout(7, slower=1.05))
    assert max(values) < 20


def test_later_values_do_not_change_an_earlier_decision():
    seen = _rollout(3, slower=1.5, seconds=300.0)
    _, whole = _trace(seen, 300.0)
    _, cut = _trace(_between(seen, -math.inf, 150.0), 150.0)
    assert whole[:10] == cut


def test_how_often_one_looks_changes_nothing():
    seen = _rollout(3, slower=1.5, seconds=300.0)
    assert _trace(seen, 300.0, every=5.0)[1][-1] == _trace(seen, 300.0, every=60.0)[1][-1]


def test_replica_codes_and_order_of_requests_change_nothing():
    seen = _rollout(4, slower=1.4, seconds=200.0)
    order, codes = (
        np.random.default_rng(0).permutation(len(seen.at)),
        np.array([5, 0, 7, 1, 2, 3, 4, 11, 6, 8, 9, 10]),
    )
    shuffled = Latencies(
        seen.at[order],
        seen.canary[order],
        codes[seen.replica[order]].astype(np.int32),
        seen.seconds[order],
        seen.at,
    )
    assert _trace(shuffled, 195.0)[1] == pytest.approx(_trace(seen, 195.0)[1], rel=1e-9)


def test_slower_canary_never_looks_better():
    finals = [_trace(_rollout(9, slower=s, seconds=150.0), 150.0)[1][-1] for s in (1.0, 1.3, 1.8, 3.0)]
    assert finals == sorted(finals)


def test_silence_says_nothing():
    evidence = LatencyRanks("itl", 0.0)
    assert evidence.evidence(100.0) == 1
    assert evidence.effect is None
    baseline = _rollout(1, seconds=120.0)
    evidence.add(_between(baseline, -math.inf, 0.0))
    assert evidence.evidence(120.0) == pytest.approx(1)
    assert evidence.effect is None


@pytest.mark.parametrize("now", [math.nan, math.inf, -1e6])
def test_clock_that_cannot_be_right_changes_nothing(now):
    evidence, values = _trace(_rollout(1, seconds=60.0), 60.0)
    assert evidence.evidence(now) == values[-1]


def test_all_equal_values_are_no_harm():
    seen = _rollout(1, seconds=300.0)
    same = Latencies(seen.at, seen.canary, seen.replica, np.full(len(seen.at), 0.2), seen.in_flight)
    assert _trace(same, 300.0)[1][-1] < 1.0


def test_beyond_the_plan_the_evidence_goes_on():
    seen = _rollout(2, slower=2.0, since=200.0, seconds=400.0)
    short, _ = _trace(seen, 400.0, evidence=LatencyRanks("ttft", 0.0, planned_seconds=210.0))
    assert short.evidence(400.0) > ALONE


def test_resume_equals_no_interruption():
    seen = _rollout(6, slower=1.4, seconds=300.0)
    straight, resumed = LatencyRanks("ttft", 0.0), LatencyRanks("ttft", 0.0)
    for now in np.arange(-360.0, 301.0, 37.0):
        for evidence in (straight, resumed):
            evidence.add(_between(seen, now - 37, now))
        assert straight.evidence(now) == resumed.evidence(now)
        resumed = LatencyRanks.from_state(json.loads(json.dumps(resumed.state())))
    assert resumed.state() == straight.state()
    assert (resumed.effect, resumed.effect_since) == (straight.effect, straight.effect_since)


def _loaded(seed, times, *, known=True, slower=1.0):
    """13 replicas whose latency grows by 5 % a request in flight; the canary's sees `times` the requests."""
    rng, rows = np.random.default_rng(seed), []
    level, own = rng.normal(0, 1, 13), rng.normal(0, 0.08, 13)
    for quarter in range(-40, 40):
        level = 0.9 * level + rng.normal(0, 0.44, 13)
        own = 0.88 * own + rng.normal(0, 0.04, 13)
        own[12] = 0.0
        for replica in range(13 if quarter >= 0 else 12):
            canary, busy = replica == 12, 1 + 0.35 * math.sin(quarter / 12)
            n = int(rng.poisson(8 * busy * (times if canary else 1)))
            in_flight = rng.poisson(max(0.1, 3 * busy + level[replica]) * (times if canary else 1), n)
            logs = own[replica] + 0.05 * in_flight + rng.normal(0, 0.2, n) + canary * math.log(slower)
            at, load = (quarter + rng.random(n)) * 15, in_flight if known else np.full(n, np.nan)
            rows.append(np.stack([at, np.full(n, canary), np.full(n, replica), np.exp(logs), load]))
    at, canary, replica, seconds, load = np.concatenate(rows, axis=1)
    return Latencies(at, canary > 0, replica.astype(np.int32), seconds, load)


def test_busier_canary_is_not_called_slow_for_its_load_where_loads_are_known():
    blind, _ = _trace(_loaded(0, 2.5, known=False))
    seeing, values = _trace(_loaded(0, 2.5))
    assert blind.evidence(600.0) > ALONE
    assert max(values) < ALONE
    assert seeing.load_differs
    assert seeing.loads[0] > 2 * seeing.loads[1]


def test_slowdown_of_a_canary_with_little_load_is_seen_at_matched_load():
    blind, _ = _trace(_loaded(1, 0.35, known=False, slower=1.35))
    seeing, _ = _trace(_loaded(1, 0.35, slower=1.35))
    assert seeing.evidence(600.0) > 10 * blind.evidence(600.0)
    assert seeing.evidence(600.0) > ALONE


def test_like_loads_are_left_alone():
    """A slower canary has more in flight because it is slower; that must not excuse it."""
    known, unknown = _trace(_loaded(2, 1.0, slower=1.4)), _trace(_loaded(2, 1.0, slower=1.4, known=False))
    assert known[1] == unknown[1]
    assert not known[0].load_differs
