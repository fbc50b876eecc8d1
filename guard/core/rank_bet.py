"""Do the canary's replicas rank among the slowest? An exact bet on one block of scores, one per replica.

Owns midranks, their normal scores, and the bet e = exp(theta sum_canary z) / [e_k(exp(theta z)) / C(m, k)]
(DESIGN 5.2): the denominator is the mean of the numerator over all choices of k among the m replicas, so e
has mean 1 whenever the replicas are exchangeable, whatever the scores' distribution and whatever drift all
share. A negative theta bets that the canary ranks low. Refuses to know what was scored, and time.
"""

from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from guard.core.observations import Bools, Floats


def midranks(scores: Floats) -> Floats:
    """Ranks from 1 along the last axis, ties at their mean rank. Scores are finite."""
    below = (scores[..., None, :] < scores[..., :, None]).sum(-1)
    same = (scores[..., None, :] == scores[..., :, None]).sum(-1)
    ranks: Floats = below + (same + 1) / 2
    return ranks


@lru_cache(maxsize=1024)
def _normal_table(m: int) -> Floats:
    """Phi^-1((rank - 1/2) / m) for rank 1, 1.5, 2 .. m."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 1) / (2 * m)) for i in range(2 * m - 1)])


def normal_scores(scores: Floats) -> Floats:
    """z of every replica, along the last axis; 0 throughout when all tie."""
    ranks = midranks(scores)
    return _normal_table(scores.shape[-1])[(2 * ranks).astype(np.intp) - 2]


@lru_cache(maxsize=256)
def _log_shares(m: int, k: int) -> tuple[Floats, Floats]:
    """ln(1 - j/i) and ln(j/i) for i = 1 .. m (rows) and j = 1 .. k; -inf where j of i is not possible."""
    i, j = np.arange(1, m + 1)[:, None], np.arange(1, k + 1)[None, :]
    with np.errstate(divide="ignore"):
        stay: Floats = np.log(np.maximum(0.0, 1 - j / i))
    return stay, np.log(j / i)


def log_mean_product(log_weights: Floats, k: int) -> Floats:
    """ln [e_k(w_1 .. w_m) / C(m, k)] along the last axis: the mean product of k of m weights, in O(m k).

    With M_j(i) the mean product of j among the first i, M_j(i) = (1 - j/i) M_j(i-1) + (j/i) w_i M_{j-1}(i-1):
    sums of positive terms only, held as logarithms, so that nothing cancels, overflows or vanishes.
    """
    stay, take = _log_shares(log_weights.shape[-1], k)
    ordered = np.sort(log_weights, axis=-1)  # the same bits whatever the replicas' order
    means = np.full((*log_weights.shape[:-1], k + 1), -np.inf)
    means[..., 0] = 0.0
    for i in range(log_weights.shape[-1]):
        taken = take[i] + ordered[..., i, None] + means[..., :-1]
        means[..., 1:] = np.logaddexp(stay[i] + means[..., 1:], taken)
    result: Floats = means[..., k]
    return result


def log_bets(z: Floats, canary: Bools, thetas: Sequence[float]) -> Floats:
    """ln e for every row of normal scores and every theta.

    Args:
        z: Shape (rows, m), of `normal_scores`.
        canary: Shape (m,). Where no replica, or every one, is the canary's, nothing can be said: ln e = 0.
    Returns:
        Shape (rows, len(thetas)).
    """
    k = int(canary.sum())
    if not 0 < k < canary.size:
        return np.zeros((z.shape[0], len(thetas)))
    log_weights = z[:, None, :] * np.asarray(thetas)[:, None]
    bets: Floats = log_weights[..., canary].sum(-1) - log_mean_product(log_weights, k)
    return bets
