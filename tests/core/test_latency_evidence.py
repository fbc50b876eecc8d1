import json
import math
from dataclasses import fields

import numpy as np
import pytest

from guard.core.latency_evidence import LatencyEvidence
from guard.core.observations import Latencies

ALONE = 555.0  # what TTFT needs by itself: 111 / .20


def _latencies(at, canary, replica, seconds, in_flight=None):
    n = len(at)
    return Latencies(
        np.asarray(at, float),
        np.broadcast_to(np.asarray(canary, bool), n),
        np.broadcast_to(np.asarray(replica, np.int32), n),
        np.broadcast_to(np.asarray(seconds, float), n),
        np.full(n, math.nan) if in_flight is None else np.asarray(in_flight, float),
    )


def _rows(values, keep):
    return Latencies(*(getattr(values, field.name)[keep] for field in fields(Latencies)))


def _wander(rng, seconds, sd):
    """A replica's slow noise by the second: Ornstein-Uhlenbeck, 120 s."""
    keep = math.exp(-1 / 120)
    kept = keep ** np.arange(seconds)
    steps = rng.normal(0, sd, seconds) * np.where(np.arange(seconds) > 0, math.sqrt(1 - keep**2), 1)
    return kept * np.cumsum(steps / kept)


def _levels(seed, seconds, replicas, sd):
    """Of each replica: a lasting 2 %, and slow noise; all share a drift."""
    rng = np.random.default_rng([seed, 0])
    drift = 0.1 * np.sin(np.arange(seconds) / rng.uniform(150, 600) + rng.uniform(0, 6))
    return [drift + rng.normal(0, 0.02) + _wander(rng, seconds, sd) for _ in range(replicas)]


def _traffic(
    seed,
    *,
    per_second=(1.0, 3.0),
    seconds=600,
    history=300,
    slower=1.0,
    begins=0.0,
    sd=0.06,
    own=0.35,
    replicas=(1, 1),
):
    """Requests of canary replicas (codes from 0) and baseline replicas (codes after them).

    ln X: an exponential and a normal part (more tail than the rule's model) on the replica's level.
    """
    rng, parts = np.random.default_rng(seed), []
    for code, level in enumerate(_levels(seed, seconds + history, sum(replicas), sd)):
        canary = code < replicas[0]
        rate = per_second[0] / replicas[0] if canary else per_second[1] / replicas[1]
        at = np.sort(rng.uniform(-history, seconds, rng.poisson(rate * (seconds + history))))
        at = at[at >= 0] if canary else at
        noise = own * (rng.exponential(1, at.size) + rng.normal(0, 0.4, at.size))
        harm = math.log(slower) * (at >= begins) * canary
        parts.append((at, canary, code, np.exp(-1.5 + level[(at + history).astype(int)] + noise + harm)))
    joined = [_latencies(*part) for part in parts]
    return Latencies(*(np.concatenate([getattr(p, f.name) for p in joined]) for f in fields(Latencies)))


def _evidence(values, signal="ttft", replicas=(1, 1), start=0.0, planned=600.0):
    evidence = LatencyEvidence(signal, start, planned)
    evidence.start_step(start, *replicas)
    evidence.add(values)
    return evidence


def _reached(evidence, seconds=600, alone=ALONE):
    return next((t for t in range(0, seconds + 1, 10) if evidence.evidence(t) >= alone), None)


FEW_OR_MANY = pytest.mark.parametrize("rollouts", [3, pytest.param(60, marks=pytest.mark.rates)])
FLEETS = pytest.mark.parametrize("replicas", [(1, 1), (1, 2), (2, 2)])


@FEW_OR_MANY
@FLEETS
def test_equal_arms_have_mean_evidence_of_at_most_1(replicas, rollouts):
    runs = (_traffic(1000 + s, replicas=replicas) for s in range(rollouts))
    values = np.array([_evidence(run, replicas=replicas).evidence(600) for run in runs])
    assert values.mean() < 1 + 2 * values.std() / math.sqrt(rollouts)
    assert values.max() < ALONE


@FEW_OR_MANY
@pytest.mark.parametrize("signal", ["ttft", "itl"])
def test_canary_within_the_margin_is_not_rolled_back(signal, rollouts):
    runs = (_traffic(2000 + s, slower=1.05) for s in range(rollouts))
    assert not any(_reached(_evidence(run, signal)) for run in runs)


@FEW_OR_MANY
@FLEETS
def test_twice_the_latency_is_found(replicas, rollouts):
    runs = (_traffic(3000 + s, slower=2.0, replicas=replicas) for s in range(rollouts))
    found = [_reached(_evidence(run, replicas=replicas)) for run in runs]
    assert all(found)
    assert np.median(found) <= 150


def test_late_fault_is_found_and_its_effect_is_that_since_it_began():
    evidence = _evidence(_traffic(5, slower=2.0, begins=300.0))
    assert evidence.evidence(300) < 20
    assert evidence.evidence(600) > ALONE
    ratio, low, high = evidence.effect
    assert low < 2.0 < high
    assert ratio > 1.7


@pytest.mark.parametrize("signal", ["ttft", "itl"])
@pytest.mark.parametrize("own", [0.005, 0.02])
def test_where_requests_hardly_vary_a_slowdown_is_found_all_the_same(own, signal):
    slow = _traffic(7, slower=2.0, own=own, sd=0.01)
    found = _reached(_evidence(slow, signal), alone=740 if signal == "itl" else ALONE)
    assert found <= (60 if signal == "ttft" else 400)
    assert _evidence(_traffic(7, slower=1.05, own=own, sd=0.01), signal).evidence(600) < 1


def test_faster_canary_is_no_evidence():
    assert _evidence(_traffic(5, slower=0.5)).evidence(600) < 1.1


def test_little_slower_is_a_reason_to_hold_before_it_is_one_to_roll_back():
    for seed in (3, 4, 5):
        evidence = _evidence(_traffic(seed, slower=1.3, own=0.1, sd=0.02), "itl")
        assert evidence.hold_evidence(600) > 111 > 10 * evidence.evidence(600)


def test_counts_say_what_was_seen_since_the_start():
    values = _traffic(5, replicas=(2, 3))
    evidence = _evidence(values, replicas=(2, 3))
    evidence.evidence(600)
    live = values.at >= 0
    assert evidence.seen.canary_requests == np.count_nonzero(values.canary)
    assert evidence.seen.baseline_requests == np.count_nonzero(live & ~values.canary)
    assert (evidence.seen.canary_replicas, evidence.seen.baseline_replicas) == (2, 3)
    assert 50 < evidence.seen.bins <= 60


# Load.


def _loaded(canary_load, seed=1, slope=0.05, slower=1.0):
    """The baseline's load wanders over 0 .. 9; each request in flight costs 5 %."""
    rng = np.random.default_rng(seed)
    at = np.arange(-300, 600, 0.5)
    load = np.round(4.5 + 4.5 * np.sin(at / 37))
    baseline = _latencies(at, False, 1, np.exp(-1.5 + slope * load + rng.normal(0, 0.2, at.size)), load)
    at = np.arange(0, 600, 1.0)
    load = np.full(at.size, canary_load, float)
    seconds = slower * np.exp(-1.5 + slope * load + rng.normal(0, 0.2, at.size))
    canary = _latencies(at, True, 0, seconds, load)
    return Latencies(
        *(np.concatenate([getattr(p, f.name) for p in (baseline, canary)]) for f in fields(Latencies))
    )


def test_busier_canary_is_not_called_slower():
    evidence = _evidence(_loaded(9))
    assert evidence.evidence(600) < 1.5
    assert evidence.effect[0] == pytest.approx(1.0, abs=0.08)


def test_without_allowing_for_load_the_busier_canary_would_look_slower():
    """The known-bad case of the one above."""
    values = _loaded(9)
    unknown = Latencies(values.at, values.canary, values.replica, values.seconds, values.in_flight * math.nan)
    evidence = _evidence(unknown)
    evidence.evidence(600)
    assert evidence.effect[0] > 1.2


def test_idle_canary_that_is_slower_for_its_load_is_found():
    assert _reached(_evidence(_loaded(0, slower=1.6)))


def test_loads_that_cannot_be_compared_are_told():
    less, usual = _evidence(_loaded(-1)), _evidence(_loaded(4))
    far = _evidence(_loaded(60))
    for evidence in (less, usual, far):
        evidence.evidence(600)
    assert far.load_differs
    assert not usual.load_differs
    assert usual.loads[0] == 4.0


# Pairs.


def _pairs(seed, *, slower=1.0, seconds=600, every=1.0, own=0.3):
    """Of the same replicas at the same time as `_traffic` of this seed."""
    rng, n = np.random.default_rng([seed, 1]), int(seconds / every)
    canary, baseline = (level[300:] for level in _levels(seed, seconds + 300, 2, 0.06))
    at = every * np.arange(1, n + 1) - 0.5
    return at, (canary - baseline)[at.astype(int)] + rng.normal(0, own, n) + math.log(slower)


def _paired(at, log_ratio, values=None):
    evidence = LatencyEvidence("ttft", 0.0, 600.0)
    evidence.start_step(0.0, 1, 1)
    evidence.add_pairs(at, log_ratio)
    if values is not None:
        evidence.add(values)
    return evidence


@FEW_OR_MANY
def test_pairs_alone_find_a_slowdown_and_nothing_where_there_is_none(rollouts):
    slow = [_reached(_paired(*_pairs(4000 + s, slower=3.0))) for s in range(rollouts)]
    assert all(slow)
    assert np.median(slow) <= 150
    assert not any(_reached(_paired(*_pairs(5000 + s))) for s in range(rollouts))


@FEW_OR_MANY
def test_pairs_beside_traffic_find_a_slowdown_sooner(rollouts):
    runs = [_traffic(3000 + s, slower=2.0, per_second=(0.06, 0.3)) for s in range(rollouts)]
    pairs = [_pairs(3000 + s, slower=2.0) for s in range(rollouts)]
    alone = [_reached(_evidence(run)) or 999 for run in runs]
    both = [_reached(_paired(*p, run)) or 999 for p, run in zip(pairs, runs, strict=True)]
    assert np.mean(both) < 0.4 * np.mean(alone)


@FEW_OR_MANY
def test_pairs_and_traffic_of_equal_arms_have_mean_evidence_of_at_most_1(rollouts):
    runs = [_paired(*_pairs(6000 + s), _traffic(6000 + s)).evidence(600) for s in range(rollouts)]
    assert np.mean(runs) < 1 + 2 * np.std(runs) / math.sqrt(rollouts)


def test_fewer_than_8_pairs_are_no_evidence():
    at = np.arange(7.0)
    assert _paired(at, np.full(7, 3.0)).evidence(100) == pytest.approx(1)


# What is not as it should be.


def test_nothing_seen_is_no_evidence():
    evidence = _evidence(_latencies([], True, 0, []))
    assert evidence.evidence(500) == pytest.approx(1)
    assert evidence.hold_evidence(500) == pytest.approx(1)
    assert evidence.effect is None
    assert evidence.loads is None
    assert not evidence.load_differs


@pytest.mark.parametrize("canary", [True, False])
def test_one_arm_alone_is_no_evidence(canary):
    evidence = _evidence(_latencies(np.arange(600.0), canary, 0, np.geomspace(0.1, 50, 600)))
    assert evidence.evidence(600) == pytest.approx(1)
    assert evidence.effect is None


def test_without_history_the_first_bins_teach():
    values = _traffic(5, history=1)
    evidence = _evidence(_rows(values, values.at >= 0))
    assert evidence.evidence(10) == 1
    assert evidence.evidence(600) < 2
    slow = _traffic(5, history=1, slower=2.0)
    assert _reached(_evidence(_rows(slow, slow.at >= 0)))


def test_all_equal_values_are_no_evidence():
    at = np.arange(-300, 600, 1.0)
    evidence = _evidence(_latencies(at, at % 2 == 0, (at % 2).astype(int), 0.25))
    assert evidence.evidence(600) < 1.01
    assert evidence.hold_evidence(600) < 1.01
    assert evidence.effect[0] == pytest.approx(1.0)


def test_baseline_replica_that_vanishes_is_no_evidence():
    values = _traffic(5, replicas=(1, 2))
    gone = (values.replica == 2) & (values.at > 200)
    evidence = _evidence(_rows(values, ~gone), replicas=(1, 2))
    evidence.evidence(300)
    evidence.start_step(300, 1, 1)
    assert evidence.evidence(600) < 2


def test_what_is_no_latency_is_left_out():
    values, bad = _traffic(5), [math.nan, math.inf, 0.0, -1.0, 1e300]
    evidence = _evidence(values)
    evidence.add(_latencies([5.0] * 5, True, 0, bad))
    evidence.add(_latencies([math.nan, math.inf], True, 0, 9.0))
    evidence.add(_latencies([5.0] * 2, True, [-1, 2_000_000_000], 9.0))
    evidence.add_pairs(np.array([5.0, math.nan, 5.0]), np.array([math.nan, 3.0, 1e300]))
    assert evidence.evidence(600) == _evidence(values).evidence(600)


@pytest.mark.parametrize("load", [math.nan, math.inf, -3.0, 1e300])
def test_load_that_is_none_is_unknown(load):
    values = _traffic(5)
    odd = Latencies(values.at, values.canary, values.replica, values.seconds, np.full(values.at.size, load))
    evidence = _evidence(odd)
    assert evidence.evidence(600) == _evidence(values).evidence(600)
    assert evidence.loads is None


def test_moments_far_away_are_kept_or_counted_as_old_history():
    evidence = _evidence(_traffic(5))
    evidence.add(_latencies([1e300, -1e300], False, 1, 0.3))
    assert evidence.evidence(600) == pytest.approx(_evidence(_traffic(5)).evidence(600), rel=0.2)


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_moment_that_is_none_changes_nothing(now):
    evidence = _evidence(_traffic(5))
    before = evidence.evidence(300)
    assert evidence.evidence(now) == before
    assert evidence.evidence(600) == _evidence(_traffic(5)).evidence(600)


def test_clock_that_steps_back_or_far_ahead_changes_nothing():
    evidence = _evidence(_traffic(5))
    at_the_end = evidence.evidence(600)
    assert evidence.evidence(0) == at_the_end
    assert evidence.evidence(1e9) == at_the_end


def test_late_values_count_in_the_oldest_open_bin():
    evidence = _evidence(_traffic(5))
    evidence.evidence(300)
    before = evidence.seen.canary_requests
    evidence.add(_latencies([10.0], True, 0, 0.3))
    inside = np.count_nonzero(_traffic(5).canary & (_traffic(5).at >= 300) & (_traffic(5).at < 310))
    evidence.evidence(310)
    assert evidence.seen.canary_requests == before + inside + 1


def test_more_replicas_in_a_later_step_go_on_with_what_is_known():
    evidence = _evidence(_traffic(5), replicas=(1, 2))
    evidence.evidence(300)
    evidence.start_step(300, 3, 2)
    assert evidence.evidence(600) < 2
    assert evidence.margin == 1.10


# Sources differ in how they deliver.


def test_evidence_at_a_moment_knows_nothing_of_what_came_later():
    values = _traffic(5, slower=1.4)
    cut = _evidence(_rows(values, values.at < 400))
    assert cut.evidence(400) == _evidence(values).evidence(400)


def test_names_of_replicas_change_nothing():
    values = _traffic(5, slower=1.4, replicas=(2, 2))
    renamed = np.array([7, 3, 0, 9], np.int32)[values.replica]
    named = Latencies(values.at, values.canary, renamed, values.seconds, values.in_flight)
    as_is = _evidence(values, replicas=(2, 2)).evidence(600)
    assert _evidence(named, replicas=(2, 2)).evidence(600) == pytest.approx(as_is, rel=1e-9)


def test_order_of_requests_changes_nothing():
    values = _traffic(5, slower=1.4)
    shuffled = _rows(values, np.random.default_rng(1).permutation(values.at.size))
    assert _evidence(shuffled).evidence(600) == pytest.approx(_evidence(values).evidence(600), rel=1e-9)


def test_ticks_and_portions_change_no_bit():
    values = _traffic(5, slower=1.4)
    order = np.argsort(values.at, kind="stable")
    values = _rows(values, order)
    whole, portions = _evidence(values), _evidence(_rows(values, values.at < 0))
    for t in range(0, 600, 5):
        portions.add(_rows(values, (values.at >= t) & (values.at < t + 5)))
        portions.evidence(t + 5)
    assert portions.evidence(600) == whole.evidence(600)
    assert portions.effect == whole.effect


@pytest.mark.parametrize("interrupted_at", [-1.0, 3.0, 297.0, 449.0])
def test_resumed_evidence_goes_on_with_the_same_bits(interrupted_at):
    values, (at, log_ratio) = _traffic(5, slower=1.4, replicas=(1, 2)), _pairs(7, slower=1.4)
    both = [_paired(at, log_ratio, values) for _ in range(2)]
    both[1].evidence(interrupted_at)
    text = json.dumps(both[1].state(), allow_nan=False)
    both[1] = LatencyEvidence.from_state(json.loads(text))
    for evidence in both:
        evidence.start_step(450.0, 2, 2)
    assert both[0].evidence(600) == both[1].evidence(600)
    assert both[0].hold_evidence(600) == both[1].hold_evidence(600)
    assert both[0].state() == both[1].state()
    assert both[0].effect == both[1].effect


def test_state_holds_no_finished_request():
    few, many = _evidence(_traffic(5)), _evidence(_traffic(5, per_second=(10.0, 30.0)))
    for evidence in (few, many):
        evidence.evidence(600)
    assert len(json.dumps(many.state())) < 1.5 * len(json.dumps(few.state()))
