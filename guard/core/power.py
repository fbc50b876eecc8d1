"""What would have been found by now: the smallest effect that the rule finds with probability 80 %.

Owns NoHarmFound's second half ("promoted without proof of equality; a regression of X would have been found
with probability Y", DESIGN 3). All figures hold for a fault that is there since the bets began, and for the
signal alone against its weight. Approximations: sums of bets are taken as normal. Refuses to decide.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from guard.core import latency_filter, latency_ranks, quality_evidence
from guard.core.rank_bet import log_bets, normal_scores

POWER = 0.8
_Z = 0.8416  # of POWER
_DRAWS = 400


def slowdown_found_by_filter(information: float, alone: float, margin: float) -> float | None:
    """The smallest ratio found by `latency_filter`; None when nothing would be.

    With effect d and bet b, L is normal with mean (d b - b^2 / 2) I and variance b^2 I; what is wanted is
    ln(alone x bets / prior of the first onset).

    Args:
        information: I = sum of x^2 / V, x the filter's response to a step (`DifferenceProof.information`).
        alone: The e-value that the signal needs by itself.
        margin: The ratio that is still no harm.
    """
    if information <= 0:
        return None
    bets = latency_filter.EFFECTS
    wanted = math.log(alone * bets.size / latency_filter.FIRST_ONSET)
    found = (wanted + bets**2 / 2 * information + _Z * bets * math.sqrt(information)) / (bets * information)
    smallest = float(found.min())
    return margin * math.exp(smallest) if smallest < math.log(100) else None


def slowdown_found_by_ranks(
    blocks: Iterable[tuple[int, int, int]], spread: float, divisor: float, alone: float, margin: float
) -> float | None:
    """The smallest ratio found by `latency_ranks`' score of means; None when nothing would be.

    Args:
        blocks: How many blocks there were with so many replicas and so many of the canary: (m, k, blocks).
        spread: Standard deviation of the baseline replicas' mean ln X in a block.
        divisor: D of all blocks.
    """
    seen = tuple(sorted((m, k, n) for m, k, n in blocks if 0 < k < m and n > 0))
    wanted = math.log(alone * latency_ranks.COMPONENTS / latency_ranks.FIRST_ONSET) * divisor
    shifts = np.arange(0.25, 6.01, 0.25)
    for shift in shifts.tolist():
        mean, variance = np.zeros(len(latency_ranks.THETAS)), np.zeros(len(latency_ranks.THETAS))
        for m, k, n in seen:
            of_one = _rank_bet(m, k, shift)
            mean, variance = mean + n * of_one[0], variance + n * of_one[1] * divisor
        if seen and float((mean - _Z * np.sqrt(variance)).max()) >= wanted:
            return margin * math.exp(shift * spread)
    return None


@lru_cache(maxsize=4096)
def _rank_bet(m: int, k: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of ln e in one block whose canary replicas are `shift` standard deviations slower."""
    draws = np.random.default_rng(20).normal(size=(_DRAWS, m))  # the same for every shift: monotone
    canary = np.arange(m) < k
    draws[:, canary] += shift
    bets = log_bets(normal_scores(draws), canary, latency_ranks.THETAS)
    return bets.mean(axis=0), bets.var(axis=0)


def drop_found(pairs: int, discordant_ratio: float, alone: float) -> float | None:
    """The smallest drop of the pass rate that `quality_evidence` finds, to a point; None when none is.

    Args:
        discordant_ratio: Share of items on which the arms differ, without the drop.
    """
    stakes = np.array(quality_evidence.STAKES)
    for points in range(3, 100):
        drop = points / 100
        lost, won = min(1.0, discordant_ratio / 2 + drop), discordant_ratio / 2
        same = max(0.0, 1 - lost - won)
        logs = np.log1p(np.outer(np.array([1.0, -1.0, 0.0]) - quality_evidence.ALLOWED_DROP, stakes))
        chances = np.array([lost, won, same]) / (lost + won + same)
        mean = chances @ logs
        sd = np.sqrt(np.maximum(0.0, chances @ logs**2 - mean**2))
        if float((pairs * mean - _Z * np.sqrt(pairs) * sd).max()) >= math.log(alone * stakes.size):
            return drop
    return None
