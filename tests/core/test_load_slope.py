import json

import numpy as np
import pytest

from guard.core.load_slope import LoadSlope


def _taught(slope, *, bins=60, noise=0.05, seed=1, replicas=1, loads=8):
    """Bins of 20 requests a replica: ln X = -1 + slope x load + noise, the load drawn anew in each."""
    rng, learned = np.random.default_rng(seed), LoadSlope()
    for _ in range(bins):
        x = rng.integers(0, loads, replicas).repeat(20).astype(float)
        codes = np.arange(replicas, dtype=np.int32).repeat(20)
        learned.add(codes, -1 + slope * x + rng.normal(0, noise, x.size), x)
        learned.forget()
    return learned


@pytest.mark.parametrize("noise", [0.05, 0.5, 1.0])
def test_slope_is_found_and_rarely_overstated(noise):
    found = [_taught(0.04, noise=noise, seed=seed).slope for seed in range(20)]
    assert 0.02 < np.mean(found) < 0.04
    assert sum(slope > 0.04 for slope in found) < 6


@pytest.mark.parametrize("slope", [0.0, -0.05])
def test_load_that_does_not_lengthen_requests_corrects_little_or_nothing(slope):
    assert _taught(slope).slope < 0.002


def test_fewer_than_15_bins_correct_nothing():
    assert _taught(0.04, bins=14).slope == 0
    assert not _taught(0.04, bins=14).known
    assert _taught(0.04, bins=15).slope > 0


def test_correction_is_0_at_mean_load_and_ends_where_the_baseline_has_not_been():
    learned = _taught(0.04)
    _, mean, high = learned.usual
    correction = learned.correction(np.array([mean, high, 10 * high, -1.0]))
    assert correction[0] == pytest.approx(0, abs=1e-12)
    assert correction[1] == correction[2] == pytest.approx(learned.slope * (high - mean))
    assert correction[3] == pytest.approx(learned.slope * (0 - mean))


def test_correction_is_limited():
    assert _taught(0.5).correction(np.array([0.0, 7.0])).tolist() == [-0.25, 0.25]


def test_unknown_load_is_not_corrected_and_teaches_nothing():
    learned = _taught(0.04)
    assert learned.correction(np.array([np.nan])).tolist() == [0.0]
    before = learned.state()
    learned.add(np.zeros(3, np.int32), np.full(3, 5.0), np.full(3, np.nan))
    assert learned.state() == before


@pytest.mark.parametrize("loads", [0.0, 3.0, 5000.0])
def test_one_load_throughout_has_no_slope(loads):
    learned = LoadSlope()
    for i in range(30):
        learned.add(np.zeros(5, np.int32), np.full(5, float(i)), np.full(5, loads))
    assert learned.slope == 0
    assert learned.correction(np.array([1.0])).tolist() == [0.0]


def test_nothing_seen_corrects_nothing():
    assert LoadSlope().correction(np.array([1.0, np.nan])).tolist() == [0.0, 0.0]
    assert np.isnan(LoadSlope().usual).all()


def test_resumed_slope_goes_on_with_the_same_bits():
    whole = _taught(0.04, replicas=2)
    resumed = LoadSlope.from_state(json.loads(json.dumps(whole.state())))
    x = np.arange(10.0)
    for learned in (whole, resumed):
        learned.add(np.zeros(10, np.int32), x / 30, x)
        learned.forget()
    assert resumed.correction(x).tolist() == whole.correction(x).tolist()
