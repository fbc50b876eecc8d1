"""Exact tests on counts, with the standard library alone: binomial, McNemar, Fisher, Tango, and their power.

Refuses to know what was counted and what the answer is for. scipy would do the same and costs a second of
import and 100 MB; each function names its source, and the tests hold them to published values.
"""

import math
from functools import lru_cache

_NEGLIGIBLE = 1e-17


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def binomial_pmf(k: int, n: int, p: float) -> float:
    """P(X = k) for X ~ Binomial(n, p)."""
    if p <= 0 or p >= 1:
        return float(k == (0 if p <= 0 else n))
    return math.exp(_log_choose(n, k) + k * math.log(p) + (n - k) * math.log1p(-p))


def binomial_upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), to about 12 digits; sums the shorter tail away from the mode."""
    if k <= 0:
        return 1.0
    if k > n or p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    if k <= n * p:
        return 1.0 - _descending_sum(n - k + 1, n, 1 - p)
    return _descending_sum(k, n, p)


def _descending_sum(k: int, n: int, p: float) -> float:
    """P(X >= k) where the terms fall from k on."""
    odds = p / (1 - p)
    term = total = binomial_pmf(k, n, p)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * odds
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return min(1.0, total)


def mcnemar_p(lost: int, won: int) -> float:
    """Exact one-sided p-value that the canary is worse: P(X >= lost), X ~ Binomial(lost + won, 1/2).

    Args:
        lost: Items that the baseline passed and the canary did not.
        won: Items that the canary passed and the baseline did not.
    Source: McNemar 1947, in its exact (sign test) form.
    """
    return binomial_upper_tail(lost, lost + won, 0.5)


@lru_cache(maxsize=4096)
def losses_to_fail(discordant: int, alpha: float) -> int | None:
    """The least number of lost pairs, of so many discordant ones, with `mcnemar_p` <= alpha; None if none."""
    low = (discordant + 1) // 2
    return next((b for b in range(low, discordant + 1) if mcnemar_p(b, discordant - b) <= alpha), None)


def mcnemar_power(pairs: int, drop: float, won_ratio: float, alpha: float) -> float:
    """Chance that the exact test fails a canary whose pass rate is truly lower by `drop`. Computed exactly.

    Each pair is independently won with probability `won_ratio` and lost with `won_ratio + drop`.
    """
    discordant_ratio = min(1.0, 2 * won_ratio + drop)
    if drop <= 0 or discordant_ratio <= 0:
        return 0.0
    lost_share = min(1.0, (won_ratio + drop) / discordant_ratio)
    power = 0.0
    for m in range(pairs + 1):
        chance = binomial_pmf(m, pairs, discordant_ratio)
        needed = losses_to_fail(m, alpha) if chance > 1e-12 else None
        if needed is not None:
            power += chance * binomial_upper_tail(needed, m, lost_share)
    return power


def smallest_drop_found(
    pairs: int, won_ratio: float, baseline_ratio: float, alpha: float, power: float = 0.8
) -> float | None:
    """The smallest true drop of the pass rate found with this power, to 0.1 points; None when none is.

    No more can be lost than the share of items that the baseline passes, `baseline_ratio`.
    """
    low, high = 0, int(1000 * min(1 - 2 * won_ratio, baseline_ratio - won_ratio) + 1e-9)
    if high <= 0 or mcnemar_power(pairs, high / 1000, won_ratio, alpha) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(pairs, middle / 1000, won_ratio, alpha) >= power:
            high = middle
        else:
            low = middle
    return high / 1000


def tango_z(lost: int, won: int, pairs: int, margin: float) -> float:
    """Score statistic for "the canary's pass rate is lower by less than `margin`"; proven above 1.645 (5 %).

    Source: Tango 1998, Statistics in Medicine 17:891-908, equations for the constrained estimate of q21.
    """
    b = -(won + lost) - (2 * pairs - won + lost) * margin
    c = lost * margin * (margin + 1)
    q21 = (math.sqrt(max(0.0, b * b - 8 * pairs * c)) - b) / (4 * pairs)
    variance = pairs * (2 * q21 - margin * (margin + 1))
    return (won - lost + pairs * margin) / math.sqrt(variance)


def fisher_p(bad: int, total: int, other_bad: int, other_total: int, odds_ratio: float = 1.0) -> float:
    """Exact one-sided p-value that the first arm's odds of "bad" exceed `odds_ratio` times the other's.

    Conditional on all bad outcomes: P(X >= bad), X of Fisher's noncentral hypergeometric distribution.
    """
    all_bad = bad + other_bad
    low, high = max(0, all_bad - other_total), min(all_bad, total)
    weights = [
        _log_choose(total, x) + _log_choose(other_total, all_bad - x) + x * math.log(odds_ratio)
        for x in range(low, high + 1)
    ]
    top = max(weights)
    terms = [math.exp(weight - top) for weight in weights]
    return min(1.0, math.fsum(terms[bad - low :]) / math.fsum(terms))


def upper_bound(k: int, n: int, alpha: float) -> float:
    """The largest p under which k or fewer of n still have a chance of alpha.

    Source: Clopper and Pearson 1934, one-sided.
    """
    if k >= n:
        return 1.0
    low, high = k / n, 1.0
    for _ in range(50):
        p = (low + high) / 2
        low, high = (p, high) if 1 - binomial_upper_tail(k + 1, n, p) > alpha else (low, p)
    return high
