import math

import numpy as np
import pytest

from guard.core.power import drop_found, slowdown_found_by_filter, slowdown_found_by_ranks
from guard.core.quality_evidence import STAKES


@pytest.mark.parametrize("information", [0.0, -1.0, 1e-6])
def test_nothing_is_found_where_nothing_was_seen(information):
    assert slowdown_found_by_filter(information, 555, 1.1) is None
    assert slowdown_found_by_ranks([], 0.2, 1.0, 444, 1.1) is None
    assert drop_found(0, 0.1, 370) is None


def test_more_seen_finds_less():
    ratios = [slowdown_found_by_filter(i, 555, 1.1) for i in (10, 30, 100, 300, 1000)]
    assert ratios == sorted(ratios, reverse=True)
    assert 1.1 < ratios[-1] < 1.35
    ratios = [slowdown_found_by_ranks([(20, 1, n)], 0.2, 1.5, 444, 1.1) for n in (8, 20, 60)]
    assert ratios == sorted(ratios, reverse=True)
    drops = [drop_found(n, 0.1, 370) for n in (50, 200, 1000)]
    assert drops == sorted(drops, reverse=True)


def test_slowdown_said_to_be_found_by_the_filter_is_found_in_four_of_five():
    """The same bets, drawn: an effect of that size, against the threshold it is said to reach."""
    information, alone = 120.0, 555.0
    effect = math.log(slowdown_found_by_filter(information, alone, 1.0))
    x_e = np.random.default_rng(2).normal(effect * information, math.sqrt(information), 4000)
    bets = [np.exp(b * x_e - b * b / 2 * information) for b in (0.12, 0.25, 0.45, 0.9)]
    assert np.mean(0.5 * np.mean(bets, axis=0) >= alone) == pytest.approx(0.8, abs=0.04)


def test_drop_said_to_be_found_is_found_in_four_of_five():
    rng, pairs, found = np.random.default_rng(3), 300, 0
    drop = drop_found(pairs, 0.1, 370.0)
    for _ in range(300):
        u = rng.random(pairs)
        d = np.where(u < 0.05 + drop, 1, np.where(u > 0.95, -1, 0))
        found += np.mean([np.prod(1 + stake * (d - 0.02)) for stake in STAKES]) >= 370.0
    assert found / 300 == pytest.approx(0.8, abs=0.1)


def test_slower_replicas_scatter_and_more_canaries_help():
    one = slowdown_found_by_ranks([(20, 1, 40)], 0.1, 1.5, 444, 1.1)
    assert slowdown_found_by_ranks([(20, 1, 40)], 0.3, 1.5, 444, 1.1) > one
    assert slowdown_found_by_ranks([(20, 5, 40)], 0.1, 1.5, 444, 1.1) < one
    assert slowdown_found_by_ranks([(20, 1, 40)], 0.1, 4.0, 444, 1.1) > one


def test_blocks_without_one_of_the_arms_say_nothing():
    assert slowdown_found_by_ranks([(20, 0, 40), (3, 3, 9)], 0.1, 1.5, 444, 1.1) is None
