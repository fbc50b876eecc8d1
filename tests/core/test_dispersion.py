import json

import numpy as np
import pytest

from guard.core.dispersion import Dispersion


def _filled(blocks):
    dispersion = Dispersion()
    for arrivals, episodes in blocks:
        dispersion.add(np.array(arrivals, float), np.array(episodes, float))
    return dispersion


def test_nothing_seen_divides_by_one():
    assert Dispersion().divisor(0, 0.0) == 1.0


def test_the_divisor_is_the_formula():
    blocks = [([100, 100], [0, 30]), ([100, 100], [2, 0])]
    p = 32.5 / 500
    q = sum((y - p * n) ** 2 for arrivals, errors in blocks for n, y in zip(arrivals, errors, strict=True))
    assert _filled(blocks).divisor(32, 400.0) == pytest.approx((q + 20) / (400 * p + 20))


def test_independent_errors_divide_by_about_one_and_clustered_ones_by_more():
    rng = np.random.default_rng(1)
    arrivals = np.full(200, 50.0)
    alone = [(arrivals, rng.binomial(50, 0.04, 200)) for _ in range(5)]
    together = [(arrivals, 10 * rng.binomial(5, 0.04, 200)) for _ in range(5)]
    divisors = [_filled(b).divisor(int(sum(y.sum() for _, y in b)), 50000.0) for b in (alone, together)]
    assert divisors[0] < 1.15
    assert divisors[1] == pytest.approx(10, rel=0.15)


def test_replicas_that_were_not_asked_add_nothing():
    assert _filled([([50, 0], [3, 0])]).state() == _filled([([50], [3])]).state()


def test_resumed_dispersion_is_the_same():
    first = _filled([([100, 90], [0, 30])])
    second = Dispersion.from_state(json.loads(json.dumps(first.state())))
    assert first.divisor(30, 190.0) == second.divisor(30, 190.0)
