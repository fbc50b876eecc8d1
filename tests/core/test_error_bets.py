import math

import numpy as np
import pytest

from guard.core.binomial import binomial_upper_tail, fisher_p
from guard.core.error_bets import BaselineErrors


def _log_bet(k, n, base_k, base_n, omega, divisor=1.0):
    r = 1.1 + 0.4 * base_k / (base_k + 100)
    grown = math.log((100 + base_n + omega * r * n) / (100 + base_n + r * n))
    return (k * math.log(omega) - (0.5 + base_k + k) * grown) / divisor


def test_log_bets_are_the_formula_for_both_effects_and_every_onset():
    baseline = BaselineErrors(20, 3000.0, 1.5)
    bets = baseline.log_bets(np.array([5.0, 2.0, 0.0]), np.array([60.0, 10.0, 0.0]))
    wanted = [
        [_log_bet(k, n, 20, 3000.0, w, 1.5) for k, n in ((5, 60.0), (2, 10.0), (0, 0.0))] for w in (3, 9)
    ]
    assert bets.tolist() == [pytest.approx(row) for row in wanted]


@pytest.mark.parametrize(("episodes", "ratio"), [(0, 1.1), (100, 1.3), (10**6, 1.5)])
def test_more_known_of_the_baselines_errors_allows_a_wider_ratio(episodes, ratio):
    assert BaselineErrors(episodes, 1e7).allowed_ratio == pytest.approx(ratio, abs=1e-4)


def test_the_rate_of_an_unseen_baseline_is_the_priors():
    assert BaselineErrors().rate == 0.005
    assert BaselineErrors(8, 100.0).rate_above(2.0) == pytest.approx((8.5 + 2 * math.sqrt(8.5)) / 200)


def test_the_allowance_is_one_incident_an_hour_and_replica_in_terms_of_exposure():
    baseline = BaselineErrors(10, 2000.0)
    one_second = 1 / 3600 / (1.1 * 10.5 / 2100)
    assert baseline.allowance(50, 1, 10.0, 8.0) == pytest.approx(8 * one_second)
    assert baseline.allowance(5, 1, 10.0, 10.0) == pytest.approx(0.5 * 10 * one_second)
    assert baseline.allowance(0, 0, 10.0, 10.0) == 0.0


def test_evidence_is_bounded_by_the_exact_test():
    baseline = BaselineErrors(30, 300.0)
    assert baseline.most(0, 100.0) == math.inf
    assert baseline.most(12, 100.2) == pytest.approx(0.5 / fisher_p(12, 100, 30, 300, baseline.allowed_ratio))
    assert BaselineErrors().most(3, 0.0) < 1  # nothing known of the baseline


@pytest.mark.parametrize(
    "baseline", [BaselineErrors(), BaselineErrors(30, 4000.0), BaselineErrors(5, 90.0, 2.5)]
)
def test_episodes_for_is_the_least_number_that_gets_there(baseline):
    needed = baseline.episodes_for(5.0, 200.0)
    bets = [float(baseline.log_bets(np.array([k]), np.array([200.0]))[-1, 0]) for k in (needed - 1, needed)]
    assert bets[0] < 5.0 <= bets[1]


def test_the_smallest_ratio_found_has_its_power():
    baseline = BaselineErrors(5, 2000.0)
    found = baseline.smallest_ratio_found(6.0, 200.0, 200, 0.8)
    needed = baseline.episodes_for(6.0, 200.0)
    assert binomial_upper_tail(needed, 200, found) >= 0.8 > binomial_upper_tail(needed, 200, found - 0.001)
    assert baseline.smallest_ratio_found(6.0, 1.0, 1, 0.8) is None


@pytest.mark.parametrize(
    ("episodes", "arrivals", "explained"), [(0, 0.0, True), (2, 100.0, True), (5, 20.0, False)]
)
def test_what_twice_the_baselines_ratio_explains(episodes, arrivals, explained):
    assert BaselineErrors(10, 1000.0).explains(episodes, arrivals) is explained
