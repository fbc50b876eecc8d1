import json
import math

import numpy as np
import pytest

from guard.core.latency_scale import LatencyScale


def _scale(seconds):
    scale = LatencyScale()
    scale.add(np.log(np.asarray(seconds, float)))
    return scale


@pytest.mark.parametrize("seconds", [[], [0.2], [0.2] * 19])
def test_too_few_values_say_nothing(seconds):
    scale = _scale(seconds)
    assert not scale.known
    assert np.isnan(scale.mu_sigma()).all()
    assert np.isnan(scale.log_quantiles((0.95, 0.99))).all()


def test_quantiles_are_those_of_the_values_within_a_bucket():
    values = np.random.default_rng(1).normal(-1.0, 0.4, 5000)
    scale = LatencyScale()
    scale.add(values)
    levels = (0.05, 0.5, 0.9, 0.95, 0.99)
    assert scale.log_quantiles(levels) == pytest.approx(np.quantile(values, levels), abs=0.011)
    mu, sigma = scale.mu_sigma()
    assert mu == pytest.approx(-1.0, abs=0.02)
    assert sigma == pytest.approx(0.4, abs=0.02)


def test_equal_values_have_the_least_spread_and_their_own_place():
    mu, sigma = _scale([0.3] * 100).mu_sigma()
    assert mu == pytest.approx(math.log(0.3), abs=0.01)
    assert sigma == 0.05


@pytest.mark.parametrize("seconds", [1e-12, 1e9])
def test_values_beyond_the_range_are_held_at_its_end(seconds):
    mu, _ = _scale([seconds] * 30).mu_sigma()
    assert 1e-5 * 0.98 < math.exp(mu) < 600 * 1.02


def test_old_values_fade_with_200_seconds():
    scale = _scale([0.1] * 100)
    scale.forget(200 * math.log(4))  # a quarter of the weight: 25 against 26 new ones
    scale.add(np.log(np.full(26, 1.0)))
    assert math.exp(scale.log_quantiles((0.5,))[0]) == pytest.approx(1.0, rel=0.02)
    before = _scale([0.1] * 100)
    before.add(np.log(np.full(26, 1.0)))
    assert math.exp(before.log_quantiles((0.5,))[0]) == pytest.approx(0.1, rel=0.02)


def test_days_of_silence_leave_nothing_known():
    scale = _scale([0.1] * 100)
    for _ in range(20):
        scale.forget(1e4)
    assert not scale.known
    assert np.isnan(scale.mu_sigma()).all()


def test_resumed_scale_goes_on_with_the_same_bits():
    values = np.random.default_rng(2).normal(-1.0, 0.4, 300)
    whole = _scale(np.exp(values))
    whole.forget(10)
    resumed = LatencyScale.from_state(json.loads(json.dumps(whole.state())))
    for scale in (whole, resumed):
        scale.add(values[:50])
        scale.forget(10)
    assert resumed.log_quantiles((0.5, 0.9, 0.95)).tolist() == whole.log_quantiles((0.5, 0.9, 0.95)).tolist()
