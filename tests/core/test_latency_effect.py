import json
import math

import numpy as np
import pytest

from guard.core.latency_effect import LatencyEffect

NONE = (0.0, 0.0)


def _effect(differences, variance=0.01, planned=180):
    effect = LatencyEffect(planned)
    for d in differences:
        effect.open_bin()
        if d is not None:
            effect.add(d, variance)
    return effect


def test_nothing_compared_has_no_effect():
    assert _effect([]).interval(0, *NONE) is None
    assert _effect([None, None]).interval(1, *NONE) is None


def test_ratio_is_that_of_geometric_means_within_its_interval():
    differences = math.log(2) + np.random.default_rng(1).normal(0, 0.1, 60)
    ratio, low, high = _effect(differences).interval(0, *NONE)
    assert low < 2.0 < high
    assert ratio == pytest.approx(math.exp(differences.mean()))
    assert math.log(high / low) == pytest.approx(2 * 1.96 * 0.1 / math.sqrt(60), rel=0.2)


def test_effect_is_that_since_the_onset():
    effect = _effect([0.0] * 30 + [0.5] * 30)
    assert effect.interval(30, *NONE)[0] == pytest.approx(math.exp(0.5))
    assert effect.interval(0, *NONE)[0] == pytest.approx(math.exp(0.25))


def test_onset_of_which_nothing_was_seen_speaks_of_all():
    assert _effect([0.5] * 10 + [None]).interval(10, *NONE)[0] == pytest.approx(math.exp(0.5))


def test_bins_count_by_their_precision():
    effect = LatencyEffect(10)
    effect.open_bin()
    effect.add(0.0, 0.01)
    effect.add(1.0, 0.03)
    assert effect.interval(0, *NONE)[0] == pytest.approx(math.exp(0.25))


def test_interval_widens_with_machines_with_slow_noise_and_where_bins_disagree():
    def width(differences, machines=0.0, wander=0.0):
        _, low, high = _effect(differences).interval(0, machines, wander)
        return math.log(high / low)

    plain = width([0.1] * 60)
    assert width([0.1] * 60, machines=0.01) > 2 * 1.96 * 0.1
    assert plain < width([0.1] * 60, wander=0.01) < width([0.1] * 60, machines=0.01)
    assert width([1.1, -0.9] * 30) > 5 * plain


def test_resumed_effect_goes_on_with_the_same_bits():
    for first in ([], [0.1, None, 0.3]):
        whole = _effect(first, planned=4)
        resumed = LatencyEffect.from_state(json.loads(json.dumps(whole.state())))
        for effect in (whole, resumed):
            for _ in range(3):
                effect.open_bin()
                effect.add(0.7, 0.02)
        assert resumed.interval(2, 0.1, 0.1) == whole.interval(2, 0.1, 0.1)
