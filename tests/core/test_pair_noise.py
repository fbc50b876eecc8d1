import json
import math

import numpy as np
import pytest

from guard.core.pair_noise import PairNoise


def _noise(*bins):
    noise = PairNoise()
    for pairs in bins:
        noise.add(np.array(pairs, float))
    return noise


def test_fewer_than_8_pairs_are_not_known():
    assert not _noise([0.1] * 7).known
    assert _noise([0.1] * 4, [], [0.1] * 4).known


def test_before_any_pair_the_prior_stands():
    assert _noise().variance == _noise([5.0]).variance == pytest.approx(0.3**2)


def test_variance_is_the_pairs_own_whatever_the_level_does():
    rng = np.random.default_rng(1)
    drifting = np.cumsum(np.full(600, 0.01)) + 2.0 * (np.arange(600) > 300) + rng.normal(0, 0.2, 600)
    assert _noise(*np.split(drifting, 60)).variance == pytest.approx(0.04, rel=0.2)


def test_equal_pairs_have_less_than_the_prior():
    assert 0 < _noise([0.5] * 100).variance < 0.004


def test_one_stuck_pair_is_held_near_its_bins_median():
    clipped = _noise([0.0, 0.1] * 30).clipped(np.array([0.0, 0.1, 0.05, 5.0]))
    assert clipped[3] < 0.5
    assert clipped[:3].tolist() == [0.0, 0.1, 0.05]


def test_resumed_noise_goes_on_with_the_same_bits():
    for first in ([], [0.3], [0.1, 0.2, 0.4]):
        whole = _noise(first)
        resumed = PairNoise.from_state(json.loads(json.dumps(whole.state(), allow_nan=False)))
        for noise in (whole, resumed):
            noise.add(np.array([0.7, 0.1]))
        assert resumed.variance == whole.variance
        assert math.isfinite(whole.variance)
