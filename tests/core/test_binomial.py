import math

import pytest

from guard.core.binomial import (
    binomial_upper_tail,
    fisher_p,
    losses_to_fail,
    mcnemar_p,
    mcnemar_power,
    smallest_drop_found,
    tango_z,
    upper_bound,
)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(0, 5, 0.3), (3, 10, 0.2), (9, 10, 0.2), (40, 60, 0.5), (1, 500, 0.01)]
)
def test_upper_tail_is_the_sum_of_its_terms(k, n, p):
    brute = sum(math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(k, n + 1))
    assert binomial_upper_tail(k, n, p) == pytest.approx(brute, rel=1e-10)


def test_upper_tail_of_a_certain_or_impossible_event():
    assert binomial_upper_tail(3, 10, 0.0) == 0.0
    assert binomial_upper_tail(3, 10, 1.0) == 1.0
    assert binomial_upper_tail(11, 10, 0.5) == 0.0


def test_seven_pairs_lost_and_none_won_fail_and_six_do_not():
    assert mcnemar_p(7, 0) == pytest.approx(1 / 128)
    assert mcnemar_p(6, 0) == pytest.approx(1 / 64)
    assert losses_to_fail(7, 0.01) == 7
    assert losses_to_fail(6, 0.01) is None


def test_power_counts_the_ways_to_fail_when_pairs_are_only_lost():
    # 12 pairs, each lost with .5: at least 7 lost, all discordant pairs being lost ones.
    assert mcnemar_power(12, 0.5, 0.0, 0.01) == pytest.approx(binomial_upper_tail(7, 12, 0.5))


def test_more_pairs_find_a_smaller_drop():
    found = [smallest_drop_found(n, 0.02, 0.9, 0.01) for n in (16, 40, 100, 400)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.08
    assert smallest_drop_found(6, 0.0, 1.0, 0.01) is None


def test_no_drop_is_found_that_is_larger_than_what_the_baseline_passes():
    assert smallest_drop_found(40, 0.0, 0.0, 0.01) is None
    assert smallest_drop_found(40, 0.0, 0.2, 0.01) is None
    assert 0.2 < smallest_drop_found(40, 0.0, 0.25, 0.01) <= 0.25


def _restricted_z(lost, won, pairs, margin):
    """Tango's statistic with q21 found by searching the likelihood, not by his formula."""

    def log_likelihood(q21):
        q12 = q21 - margin
        same = max(1 - q12 - q21, 1e-300)
        terms = ((won, max(q12, 1e-300)), (lost, q21), (pairs - lost - won, same))
        return sum(n * math.log(q) for n, q in terms if n)

    grid = [margin + (1 - margin) / 2 * i / 20000 for i in range(1, 20000)]
    q21 = max(grid, key=log_likelihood)
    return (won - lost + pairs * margin) / math.sqrt(pairs * (2 * q21 - margin * (margin + 1)))


@pytest.mark.parametrize(("lost", "won", "pairs"), [(3, 2, 40), (10, 12, 100), (1, 5, 60), (8, 0, 100)])
def test_tango_uses_the_most_likely_probabilities_under_the_margin(lost, won, pairs):
    assert tango_z(lost, won, pairs, 0.07) == pytest.approx(_restricted_z(lost, won, pairs, 0.07), abs=2e-3)


def test_identical_answers_prove_non_inferiority_only_with_enough_pairs():
    assert tango_z(0, 0, 35, 0.07) < 1.645 < tango_z(0, 0, 36, 0.07)


def test_fisher_matches_the_tea_tasting_experiment():
    assert fisher_p(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_p(3, 4, 1, 4) == pytest.approx(17 / 70)


def test_fisher_with_an_odds_margin_needs_more():
    assert fisher_p(8, 30, 1, 30, 1.0) < fisher_p(8, 30, 1, 30, 1.5)


def test_upper_bound_of_no_event_is_the_rule_of_three():
    assert upper_bound(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert upper_bound(10, 10, 0.05) == 1.0
