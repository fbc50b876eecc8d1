"""What moves a replica's latency although nothing is wrong: three variances, learned from the baseline alone.

Owns DECISION's steps 3 and 5: requests' own spread within a bin (s^2, in units of the scale's sigma), slow
noise of a replica (sigma_u^2, from 30 s blocks), lasting differences of replicas (sigma_a^2), and whether the
baseline itself is off its usual level. Each has a prior, so that each has a value from the first bin on.
Refuses to see the canary: what harm does must not widen what is called noise.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Codes, Floats

WITHIN_PRIOR_VALUES = 50.0  # at s^2 = 1
BLOCK_BINS = 3
WANDER_PRIOR_BLOCKS = 10.0
LEAST_WANDER = 0.03**2
BLOCKS_FOR_WANDER, BLOCKS_FOR_MACHINES = 3, 10
MACHINE_PRIOR_REPLICAS = 4.0
MOST_SD = 2.0  # a block further out counts as if it lay here
LEVEL_FORGET = 0.99
OFF_SD, LEVEL_CLIP_SD = 2.0, 3.0


class WithinVariance:
    """s^2 of scores about the mean of their replica and bin."""

    def __init__(self) -> None:
        self._squares, self._freedom = 0.0, 0.0

    def add(self, replica: Codes, scores: Floats) -> None:
        """One bin's scores of the baseline."""
        n = np.bincount(replica)
        sums = np.bincount(replica, weights=scores)
        self._squares += max(0.0, float(scores @ scores - sums @ (sums / np.maximum(n, 1))))
        self._freedom += scores.size - int(np.count_nonzero(n))

    @property
    def value(self) -> float:
        return (WITHIN_PRIOR_VALUES + self._squares) / (WITHIN_PRIOR_VALUES + self._freedom)

    def state(self) -> list[float]:
        return [self._squares, self._freedom]

    @classmethod
    def from_state(cls, state: list[float]) -> Self:
        self = cls()
        self._squares, self._freedom = state
        return self


class Level:
    """The baseline's usual mean of ln X, over about 1,000 s."""

    def __init__(self) -> None:
        self._weight, self._sum = 0.0, 0.0

    def excess(self, mean: float, sd: float) -> float:
        """How much further than 2 sd a bin's mean is from the usual one; 0 at first."""
        return max(0.0, abs(mean - self._sum / self._weight) - OFF_SD * sd) if self._weight else 0.0

    def add(self, mean: float, sd: float) -> None:
        """A bin's mean; what lies beyond 3 sd counts as if it lay there."""
        usual, reach = self._sum / self._weight if self._weight else mean, LEVEL_CLIP_SD * sd
        self._sum = LEVEL_FORGET * self._sum + min(max(mean, usual - reach), usual + reach)
        self._weight = LEVEL_FORGET * self._weight + 1

    def state(self) -> list[float]:
        return [self._weight, self._sum]

    @classmethod
    def from_state(cls, state: list[float]) -> Self:
        self = cls()
        self._weight, self._sum = state
        return self


class BlockVariances:
    """sigma_u^2 and sigma_a^2 from means of 30 s of each baseline replica."""

    def __init__(self) -> None:
        self._bins = 0  # of the open block
        self._replicas = np.zeros((4, 0))  # of each: requests and sum in the open block; blocks, their mean
        self._squares, self._weight = 0.0, 0.0

    def add(self, replica: Codes, log_seconds: Floats) -> None:
        """One bin's values of the baseline."""
        counts = np.bincount(replica)
        missing = counts.size - self._replicas.shape[1]
        if missing > 0:
            self._replicas = np.hstack([self._replicas, np.zeros((4, missing))])
        self._replicas[0, : counts.size] += counts
        self._replicas[1, : counts.size] += np.bincount(replica, weights=log_seconds)

    def end_bin(self, wander_prior: float, own_variance: float) -> None:
        """A bin ends; every third one closes the block.

        Args:
            own_variance: Of one request about its replica's level, sigma^2 s^2.
        """
        self._bins += 1
        if self._bins == BLOCK_BINS:
            self._close(wander_prior, own_variance)
            self._bins = 0
            self._replicas[:2] = 0.0

    def _close(self, prior: float, own_variance: float) -> None:
        seen = np.flatnonzero(self._replicas[0])
        n, total, blocks, mean = self._replicas[:, seen]
        off = total / np.maximum(n, 1) - mean
        old = blocks >= BLOCKS_FOR_WANDER
        if old.any():
            self._learn(off[old], own_variance / n[old], prior)
        self._replicas[2, seen] += 1
        self._replicas[3, seen] += off / (blocks + 1)

    def _learn(self, off: Floats, noise: Floats, prior: float) -> None:
        """Of several replicas only what they do not share: their mean is drift. That leaves 1 - 1/k.

        A block counts by what it can tell, the inverse of x^2's variance: with a request a second it is
        mostly the requests' own noise, and 17 such blocks made sigma_u anything from .03 to .13.
        """
        share = 1 - 1 / off.size if off.size > 1 else 1.0
        x = off - off.mean() if off.size > 1 else off
        limit = MOST_SD**2 * share * (self.wander(prior) + noise)
        tells = (prior / (prior + noise)) ** 2
        self._squares += float(tells @ (np.minimum(x**2, limit) - share * noise))
        self._weight += share * float(tells.sum())

    def wander(self, prior: float) -> float:
        """sigma_u^2, with `prior` standing for 10 blocks without own noise."""
        pooled = (WANDER_PRIOR_BLOCKS * prior + self._squares) / (WANDER_PRIOR_BLOCKS + self._weight)
        return max(LEAST_WANDER, pooled)

    def machines(self, prior: float) -> float:
        """sigma_a^2; `prior` where fewer than two replicas have been seen for 5 minutes."""
        means: Floats = self._replicas[3, self._replicas[2] >= BLOCKS_FOR_MACHINES]
        if means.size < 2:
            return prior
        squares = float(((means - means.mean()) ** 2).sum())
        freedom = float(means.size) - 1
        return (MACHINE_PRIOR_REPLICAS * prior + squares) / (freedom + MACHINE_PRIOR_REPLICAS)

    def state(self) -> dict[str, Any]:
        return {
            "bins": self._bins,
            "replicas": self._replicas.tolist(),
            "squares": self._squares,
            "weight": self._weight,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._bins, self._squares, self._weight = state["bins"], state["squares"], state["weight"]
        self._replicas = np.array(state["replicas"], float).reshape(4, -1)
        return self


def sd_of_bin(wander: float, replicas: int, own_variance: float, n: int) -> float:
    """How far the mean of n requests of an arm may lie from its level, one sd."""
    return math.sqrt(wander / max(1, replicas) + own_variance / n)
