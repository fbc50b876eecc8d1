import json
import math

import numpy as np
import pytest

from guard.core.observations import Latencies
from guard.core.replica_blocks import ReplicaBlocks

LEVELS = np.exp(np.linspace(-1, 1, 40))  # what every replica sees in every quarter of a minute


def _quarter(quarter, replicas, slower=1.0, values=LEVELS, canaries=1):
    """Every replica sees the same values; the last `canaries` are the canary's, `slower` times as slow."""
    replica = np.repeat(np.arange(replicas), len(values)).astype(np.int32)
    canary = replica >= replicas - canaries
    seconds = np.tile(values, replicas) * np.where(canary, slower, 1.0)
    at = np.tile((quarter + np.linspace(0.01, 0.99, len(values))) * 15.0, replicas)
    return Latencies(at, canary, replica, seconds, np.full(len(at), np.nan))


def _blocks(quarters, margin=1.0, now=None, **kwargs):
    blocks = ReplicaBlocks(0.0, margin)
    for quarter in quarters:
        blocks.add(_quarter(quarter, 4, **kwargs))
    return list(blocks.close((max(quarters) + 1) * 15.0 if now is None else now))


def _chosen(blocks):
    return [(block.index, block.quarters) for block in blocks if block.chosen]


def test_both_kinds_of_block_are_given_and_one_of_them_serves():
    blocks = _blocks(range(-8, 8))
    assert [b.index for b in blocks if b.quarters == 1] == list(range(-8, 8))
    assert [b.index for b in blocks if b.quarters == 4] == [-2, -1, 0, 1]
    assert _chosen(blocks) == [(-2, 4), *((i, 1) for i in range(-4, 8))]


def test_few_requests_are_judged_in_long_blocks():
    assert _chosen(_blocks(range(-8, 8), values=[0.5, 1.0])) == [(-2, 4), (-1, 4), (0, 4), (1, 4)]


def test_scores_are_measured_against_the_past_of_the_baseline_alone():
    *_, last = (b for b in _blocks(range(-8, 1), slower=2.0) if b.quarters == 1)
    assert last.canary.tolist() == [False] * 3 + [True]
    assert last.scores[0, :3] == pytest.approx(np.zeros(3), abs=0.05)
    assert last.scores[1] == pytest.approx([0.05] * 3 + [0.375], abs=0.03)  # above q95: 2 and 15 of 40
    assert last.log_means == pytest.approx([0, 0, 0, math.log(2)], abs=1e-9)


def test_margin_is_allowed_to_the_canary_alone():
    slower = [b for b in _blocks(range(-8, 1), margin=1.25, slower=1.25) if b.quarters == 1][-1]
    assert slower.scores[0] == pytest.approx(np.full(4, slower.scores[0, 0]), abs=1e-9)


def test_long_block_is_the_mean_of_its_quarters():
    blocks = _blocks(range(-8, 4), slower=1.5)
    long = next(b for b in blocks if (b.index, b.quarters) == (0, 4))
    short = [b for b in blocks if b.quarters == 1 and 0 <= b.index < 4]
    assert long.scores == pytest.approx(np.mean([b.scores for b in short], axis=0))


def test_nothing_is_scored_before_the_baseline_is_known():
    assert all(not len(b.replicas) for b in _blocks([0, 1], canaries=4))
    first = _blocks([0])[0]
    assert first.scores.shape == (3, 0)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -math.inf, -1e9, 14.9])
def test_clock_that_cannot_be_right_closes_nothing(now):
    assert not _blocks([0], now=now)


def test_clock_that_leaps_costs_four_hours_at_most():
    assert len(_blocks([0], now=1e12)) == 960 * 5 / 4


def test_value_from_ages_ago_counts_an_hour_ago():
    blocks = ReplicaBlocks(0.0, 1.0)
    blocks.add(_quarter(-(10**9), 4))
    assert next(iter(blocks.close(0.0))).index == -240


def test_arms_of_unlike_rates_are_compared_at_like_counts():
    """A canary that sees 4 requests where a baseline replica sees 40 is not compared with means of 40."""
    blocks, rng, spread = ReplicaBlocks(0.0, 1.0), np.random.default_rng(3), []
    for quarter in range(-20, 60):
        for replica in range(6):
            canary = replica == 5
            if canary and quarter < 0:
                continue
            n = 4 if canary else 40
            at = (quarter + rng.random(n)) * 15
            blocks.add(Latencies(at, np.full(n, canary), np.full(n, replica), np.exp(rng.normal(size=n)), at))
    for block in blocks.close(900.0):
        if block.quarters == 1 and block.index > 30:
            spread.append(block.scores[0])
    sd = np.std(spread, axis=0)
    assert sd[:5] == pytest.approx(np.full(5, sd[5]), rel=0.45)
    assert sd[:5].min() > 1.8 / math.sqrt(40)


def test_resume_equals_no_interruption():
    straight, resumed = ReplicaBlocks(0.0, 1.1), ReplicaBlocks(0.0, 1.1)
    for quarter in range(-6, 6):
        for blocks in (straight, resumed):
            blocks.start_step(1, 3)
            blocks.add(_quarter(quarter, 4, slower=1.3))
        closed = list(straight.close(quarter * 15.0 + 7))
        again = list(resumed.close(quarter * 15.0 + 7))
        assert [b.scores.tolist() for b in closed] == [b.scores.tolist() for b in again]
        resumed = ReplicaBlocks.from_state(json.loads(json.dumps(resumed.state())))
    assert resumed.state() == straight.state()
