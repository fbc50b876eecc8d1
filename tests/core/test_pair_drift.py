import json

import numpy as np
import pytest

from guard.core.pair_drift import PairDrift

NOISE, WANDER = 0.01, 0.0072


def _drift(means, noise=NOISE):
    drift = PairDrift()
    for d in means:
        if d is not None:
            drift.add(d, noise, WANDER)
        drift.end_bin()
    return drift


def _noise(sd, bins=120, seed=1):
    return np.random.default_rng(seed).normal(0, sd, bins).tolist()


def test_nothing_seen_widens_nothing():
    assert PairDrift().excess() == 1.0
    assert _drift([0.5, None, None, None, 0.0]).excess() == 1.0


def test_what_is_expected_of_an_unknown_service_is_unlearned_bin_by_bin():
    found = [_drift(_noise(NOISE**0.5, bins)).excess(unknown=True) for bins in (3, 10, 60)]
    assert 3.0 == found[0] > found[1] > found[2] == pytest.approx(1.0, abs=0.1)


def test_what_pairs_own_spread_explains_widens_nothing():
    assert _drift(_noise(NOISE**0.5)).excess() == 1.0


@pytest.mark.parametrize(("sd", "least"), [(0.2, 1.4), (0.4, 4.0)])
def test_restless_bins_widen(sd, least):
    assert least < _drift(_noise(sd)).excess() <= 9.0


def test_a_step_enters_three_differences_and_then_none():
    usual = _noise(NOISE**0.5, 40)
    harmed = [d + 0.6 * (i >= 20) for i, d in enumerate(usual)]
    found = [_drift(harmed[:n]).excess() for n in (20, 23, 40)]
    assert found[0] < found[2] < found[1] < 3


def test_a_lasting_difference_widens_nothing():
    assert _drift([d + 0.6 for d in _noise(NOISE**0.5)]).excess() == 1.0


def test_resumed_drift_goes_on_with_the_same_bits():
    means = [0.1, None, 0.4, 0.9, 0.2, -0.7, 0.3]
    for n in range(len(means)):
        resumed = PairDrift.from_state(json.loads(json.dumps(_drift(means[:n]).state(), allow_nan=False)))
        for d in means[n:]:
            if d is not None:
                resumed.add(d, NOISE, WANDER)
            resumed.end_bin()
        assert resumed.excess() == _drift(means).excess()
