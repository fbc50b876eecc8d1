import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.rank_bet import log_bets, log_mean_product, midranks, normal_scores

THETAS = (-2.5, -1.0, 0.5, 1.5, 3.0)


def _chosen(m, chosen):
    canary = np.zeros(m, bool)
    canary[list(chosen)] = True
    return canary


def _mean_over_all_choices(scores, k):
    """E e for each theta when every choice of k canaries is equally likely: enumerated."""
    z = normal_scores(np.array([scores], float))
    bets = [np.exp(log_bets(z, _chosen(len(scores), c), THETAS)) for c in combinations(range(len(scores)), k)]
    return np.mean(bets, axis=0)[0]


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        ([3.0, 1.0, 2.0], [3, 1, 2]),
        ([1.0, 1.0, 2.0], [1.5, 1.5, 3]),
        ([5.0, 5.0, 5.0], [2, 2, 2]),
        ([7.0], [1]),
        ([0.0, -0.0, 1.0, 1.0], [1.5, 1.5, 3.5, 3.5]),
    ],
)
def test_ties_share_their_mean_rank(scores, ranks):
    assert midranks(np.array(scores)).tolist() == ranks


def test_normal_scores_are_the_published_quantiles():
    z = normal_scores(np.arange(20.0))
    assert z[-1] == pytest.approx(1.959964, abs=1e-6)  # Phi^-1(.975)
    assert z.sum() == pytest.approx(0, abs=1e-12)
    assert normal_scores(np.ones(5)).tolist() == [0] * 5


@pytest.mark.parametrize("scores", [[1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 2, 2], [0, 0, 0, 0], [1, 1, 1, 1, 9]])
def test_mean_over_all_choices_of_canaries_is_exactly_1(scores):
    for k in range(1, len(scores)):
        assert _mean_over_all_choices(scores, k) == pytest.approx(np.ones(len(THETAS)), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=7), st.data())
def test_mean_is_1_for_any_scores_and_ties(scores, data):
    k = data.draw(st.integers(1, len(scores) - 1))
    assert _mean_over_all_choices(scores, k) == pytest.approx(np.ones(len(THETAS)), rel=1e-10)


def test_bet_without_its_denominator_would_not_have_mean_1():
    z = normal_scores(np.arange(6.0))
    naive = [math.exp(3 * z[list(c)].sum()) for c in combinations(range(6), 2)]
    assert np.mean(naive) > 5


def test_the_slowest_canary_wins_and_the_fastest_loses():
    z = normal_scores(np.arange(20.0)[None, :])
    slowest, fastest = log_bets(z, _chosen(20, [19]), (3.0,)), log_bets(z, _chosen(20, [0]), (3.0,))
    assert slowest[0, 0] == pytest.approx(math.log(14), abs=0.1)
    assert fastest[0, 0] < -8
    assert log_bets(z, _chosen(20, [0]), (-2.5,))[0, 0] > 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=12), st.randoms(use_true_random=False))
def test_order_of_replicas_changes_no_bit(scores, random):
    order = list(range(len(scores)))
    random.shuffle(order)
    values, canary = np.array([scores]), _chosen(len(scores), [0, 2])
    straight = log_bets(normal_scores(values), canary, THETAS)
    shuffled = log_bets(normal_scores(values[:, order]), canary[order], THETAS)
    assert straight == pytest.approx(shuffled, abs=1e-14)


@pytest.mark.parametrize("k", [1, 3, 99, 100])
@pytest.mark.parametrize("theta", [-2.5, 3.0, 40.0])
def test_200_replicas_neither_overflow_nor_vanish(k, theta):
    z = normal_scores(np.arange(200.0)[None, :])
    mean = log_mean_product(theta * z, k)[0]
    assert 0 <= mean < abs(theta) * z[0, -k:].sum()  # Maclaurin: at least the geometric mean, 1
    assert np.isfinite(log_bets(z, _chosen(200, range(200 - k, 200)), (theta,))).all()


def test_mean_product_of_known_numbers():
    weights = np.log([[1.0, 2.0, 3.0, 4.0]])
    means = [math.exp(log_mean_product(weights, k)[0]) for k in (1, 2, 3, 4)]
    assert means == pytest.approx([10 / 4, 35 / 6, 50 / 4, 24])  # e_k = 10, 35, 50, 24


@pytest.mark.parametrize("canaries", [[], [0, 1, 2]])
def test_one_arm_alone_says_nothing(canaries):
    z = normal_scores(np.arange(3.0)[None, :])
    assert log_bets(z, _chosen(3, canaries), THETAS).tolist() == [[0] * len(THETAS)]
