import json

import numpy as np
import pytest

from guard.core.latency_variances import BlockVariances, Level, WithinVariance

PRIOR = 0.06**2


def _blocks(*, wander=0.0, machines=0.0, shared=0.0, replicas=1, blocks=200, seed=1, n=30, own=0.1):
    """Bins of n requests a replica; slow noise is drawn anew for each block of three bins."""
    rng, learned = np.random.default_rng(seed), BlockVariances()
    lasting = rng.normal(0, machines, replicas)
    for _ in range(blocks):
        level = lasting + rng.normal(0, wander, replicas) + rng.normal(0, shared)
        for _ in range(3):
            codes = np.arange(replicas, dtype=np.int32).repeat(n)
            learned.add(codes, level[codes] + rng.normal(0, own, codes.size))
            learned.end_bin(PRIOR, own**2)
    return learned


def test_before_anything_was_seen_the_priors_stand():
    assert BlockVariances().wander(PRIOR) == pytest.approx(PRIOR)
    assert BlockVariances().machines(0.0275**2) == 0.0275**2
    assert WithinVariance().value == 1.0


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("wander", [0.06, 0.2])
def test_slow_noise_is_found_somewhat_too_small_because_far_blocks_are_clipped(wander, replicas):
    found = _blocks(wander=wander, replicas=replicas).wander(PRIOR)
    assert 0.6 * wander**2 < found < 1.1 * wander**2


def test_blocks_of_mostly_the_requests_own_noise_leave_the_prior_nearly_as_it_is():
    """A request a second, each another prompt: 20 blocks say next to nothing of a noise ten times smaller."""
    for seed in range(20):
        found = _blocks(wander=0.06, blocks=20, seed=seed, n=10, own=0.7).wander(PRIOR)
        assert found == pytest.approx(PRIOR, rel=0.6)
    assert _blocks(wander=0.2, blocks=20, n=300, own=0.7).wander(PRIOR) > 4 * PRIOR


def test_quiet_replicas_keep_the_least_slow_noise():
    assert _blocks(blocks=600).wander(PRIOR) == 0.03**2


def test_drift_that_replicas_share_is_no_noise_of_a_replica():
    assert _blocks(shared=0.5, replicas=4).wander(PRIOR) == pytest.approx(0.03**2, rel=0.3)
    assert _blocks(shared=0.5, replicas=1).wander(PRIOR) > 0.05


def test_one_outage_is_no_lasting_noise():
    learned = _blocks(blocks=30)
    before = learned.wander(PRIOR)
    for _ in range(3):
        learned.add(np.zeros(30, np.int32), np.full(30, 9.0))
        learned.end_bin(PRIOR, 0.01)
    assert learned.wander(PRIOR) < before + 4 * PRIOR / 20


def test_lasting_differences_of_replicas_need_two_for_5_minutes():
    assert _blocks(machines=0.3, replicas=1).machines(0.0275**2) == 0.0275**2
    assert _blocks(machines=0.3, replicas=4, blocks=9).machines(0.0275**2) == 0.0275**2
    assert _blocks(machines=0.3, replicas=6, blocks=20, seed=4).machines(0.0275**2) > 0.1**2
    assert _blocks(replicas=6, blocks=20).machines(0.0275**2) < 0.0275**2


def test_spread_is_measured_about_each_replica_and_bin():
    rng, within = np.random.default_rng(1), WithinVariance()
    for i in range(300):
        codes = np.array([0, 2], np.int32).repeat(10)
        within.add(codes, rng.normal(0, 0.5, 20) + 3.0 * codes + i)
    assert within.value == pytest.approx(0.25, rel=0.1)


def test_single_requests_say_nothing_about_spread():
    within = WithinVariance()
    within.add(np.array([1], np.int32), np.array([2.5]))
    assert within.value == 1.0


def test_level_is_off_only_beyond_2_sd_and_follows_slowly():
    level = Level()
    assert level.excess(5.0, 0.1) == 0.0
    for _ in range(100):
        level.add(0.0, 0.1)
    assert level.excess(0.19, 0.1) == 0.0
    assert level.excess(-0.5, 0.1) == pytest.approx(0.3)
    level.add(100.0, 0.1)  # counts as .3
    assert level.excess(0.5, 0.1) == pytest.approx(0.3, abs=0.01)


def test_resumed_variances_go_on_with_the_same_bits():
    whole, within, level = _blocks(replicas=3, blocks=11), WithinVariance(), Level()
    whole.add(np.array([0, 2], np.int32), np.array([0.1, 0.7]))
    within.add(np.zeros(3, np.int32), np.array([0.1, 0.2, 0.9]))
    level.add(0.3, 0.1)
    resumed = BlockVariances.from_state(json.loads(json.dumps(whole.state())))
    for learned in (whole, resumed):
        for _ in range(3):
            learned.add(np.array([1, 5], np.int32), np.array([0.3, 0.2]))
            learned.end_bin(PRIOR, 0.01)
    assert resumed.state() == whole.state()
    assert WithinVariance.from_state(within.state()).value == within.value
    assert Level.from_state(level.state()).excess(1.0, 0.1) == level.excess(1.0, 0.1)
