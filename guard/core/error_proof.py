"""Proof that the canary does not fail 1.5 points more of its requests than the baseline does.

Owns the test martingale against H0 "p_canary >= p_baseline + .015" (DESIGN 5.7), on counts of the same bins
of the same step. Every canary request bets against p0 = p_baseline + .015: a good one wins
ln((1 - p1)/(1 - p0)), a bad one loses ln(p0/p1), p1 what a canary like the baseline would fail. For
p_baseline it takes a lower bound (one-sided .1 %, over-dispersed), because a baseline that only seems worse
makes proofs cheap. A shared incident counts against the canary, never for it.

Requests of one replica fail together: at most 10 of a replica and bin count, in proportion, and ln e is
divided by D >= 1, the over-dispersion of the baseline's replicas. A crash loop that happens to rest is found
by no proof shorter than its period; that is what a step's hold is for.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.dispersion import BLOCK_BINS, Dispersion
from guard.core.observations import Floats

ERROR_MARGIN = 0.015
MORE = (0.0, 0.004)  # p1 less the baseline's ratio; arbitrary: the second bets that all is not quite well
LEAST_RATIO = 0.001  # of p1: one error is never the end
MOST_OF_A_BIN = 10.0  # arbitrary: requests of one replica and bin
LOWER_Z = 3.09  # one-sided .1 %
_MOST = 700.0


class ErrorProof:
    """One `observe` a bin of 10 s."""

    def __init__(self) -> None:
        self._canary = np.zeros(2)  # bad, total, weighted
        self._baseline = np.zeros(2)
        self._block = np.zeros((2, 0))  # the baseline's, by replica, in the open block
        self._bins = 0
        self._dispersion = Dispersion()

    def start_step(self) -> None:
        """Starts again, but for what is known of the baseline's replicas failing together."""
        self._canary, self._baseline = np.zeros(2), np.zeros(2)

    def observe(
        self, canary_bad: Floats, canary_total: Floats, baseline_bad: Floats, baseline_total: Floats
    ) -> None:
        """One bin's counts, by replica code in both arms; bad <= total."""
        self._canary += _weighted(canary_bad, canary_total).sum(axis=1)
        baseline = _weighted(baseline_bad, baseline_total)
        self._baseline += baseline.sum(axis=1)
        self._disperse(baseline)

    def _disperse(self, baseline: Floats) -> None:
        block = np.zeros((2, max(self._block.shape[1], baseline.shape[1])))
        block[:, : self._block.shape[1]] += self._block
        block[:, : baseline.shape[1]] += baseline
        self._block, self._bins = block, self._bins + 1
        if self._bins == BLOCK_BINS:
            self._dispersion.add(block[1], block[0])
            self._block, self._bins = np.zeros((2, 0)), 0

    def _divisor(self) -> float:
        bad, total = self._baseline.tolist()
        return self._dispersion.divisor(round(bad), total)

    def evidence(self) -> float:
        """The e-value against H0; 1 while an arm was not seen."""
        (bad, total), (other_bad, other_total) = self._canary.tolist(), self._baseline.tolist()
        if not total or not other_total:
            return 1.0
        divisor = self._divisor()
        p0 = min(0.999, _lower(other_bad / divisor, other_total / divisor) + ERROR_MARGIN)
        ratio = (other_bad + 0.5) / (other_total + 100)
        bets = 0.0
        for more in MORE:
            p1 = min(max(LEAST_RATIO, ratio + more), p0 * 0.9)
            log = bad * math.log(p1 / p0) + (total - bad) * math.log((1 - p1) / (1 - p0))
            bets += math.exp(min(_MOST, log / divisor))
        return bets / len(MORE)

    def state(self) -> dict[str, Any]:
        return {
            "canary": self._canary.tolist(),
            "baseline": self._baseline.tolist(),
            "block": self._block.tolist(),
            "bins": self._bins,
            "dispersion": self._dispersion.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._canary, self._baseline = np.array(state["canary"]), np.array(state["baseline"])
        self._block, self._bins = np.array(state["block"], float).reshape(2, -1), state["bins"]
        self._dispersion = Dispersion.from_state(state["dispersion"])
        return self


def _weighted(bad: Floats, total: Floats) -> Floats:
    counts = np.array([bad, total], float)
    weighted: Floats = counts * np.minimum(1.0, MOST_OF_A_BIN / np.maximum(total, 1.0))
    return weighted


def _lower(bad: float, total: float) -> float:
    """Lower bound of a small ratio. Source: Wilson and Hilferty 1931, for a Poisson count."""
    if bad <= 0:
        return 0.0
    root = 1 - 1 / (9 * bad) - LOWER_Z / (3 * math.sqrt(bad))
    return max(0.0, bad * root**3) / total if root > 0 else 0.0
