"""How much less do h blocks say together than h independent ones? The divisor of the rank bets' logarithms.

Owns D(h) of DESIGN 5.3: how the variance of the sum of h blocks' scores grows, on the baseline's own
replicas, which are the canary's peers: 1 when blocks are independent, up to h when a replica stays what it
is (its hardware, its cache, a slow neighbour). Measured at 1, 2, 4 .. 32 blocks, made monotone, and pulled
towards 1.1 as 30 observations would. Refuses to know what a score is.

Beyond 32 blocks it stays at D(32): longer sums are too few to measure within a rollout.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Codes, Floats

LEVELS = 6  # sums of 1, 2, 4 .. 32 blocks
PRIOR_RATIO, PRIOR_OBSERVATIONS = 1.1, 30.0
_LENGTHS = 2 ** np.arange(LEVELS)


class Tempering:
    """Several scores at once, each with a D of its own."""

    def __init__(self, scores: int) -> None:
        self._blocks = 0
        self._sums = np.zeros((LEVELS, scores, 0))  # of each replica, in the open window of each level
        self._energy = np.zeros((LEVELS, scores, 0))  # the same of squares
        self._squared_sums = np.zeros((LEVELS, scores))  # over closed windows
        self._squares = np.zeros((LEVELS, scores))
        self._observations = np.zeros(LEVELS)

    def add(self, replicas: Codes, scores: Floats) -> None:
        """One block of the baseline; a replica without a score counts as an average one.

        Args:
            replicas: Codes >= 0, each at most once.
            scores: Shape (scores, replicas), with mean 0 over the replicas.
        """
        self._grow(int(replicas.max(initial=-1)) + 1)
        self._sums[:, :, replicas] += scores
        self._energy[:, :, replicas] += scores**2
        self._blocks += 1
        closed = np.flatnonzero(self._blocks % _LENGTHS == 0)
        self._squared_sums[closed] += (self._sums[closed] ** 2).sum(-1)
        self._squares[closed] += self._energy[closed].sum(-1)
        self._observations[closed] += (self._energy[closed] > 0).any(1).sum(-1)
        self._sums[closed] = 0.0
        self._energy[closed] = 0.0

    def _grow(self, replicas: int) -> None:
        missing = replicas - self._sums.shape[-1]
        if missing > 0:
            more = np.zeros((*self._sums.shape[:2], missing))
            self._sums = np.concatenate([self._sums, more], axis=-1)
            self._energy = np.concatenate([self._energy, more], axis=-1)

    def ratios(self) -> Floats:
        """D at 1, 2, 4 .. 32 blocks; shape (6, scores), each column at least 1 and never falling."""
        seen = np.where(self._squares > 0, self._observations[:, None], 0.0)
        measured = self._squared_sums / np.maximum(self._squares, 1e-300)
        pooled = (seen * measured + PRIOR_OBSERVATIONS * PRIOR_RATIO) / (seen + PRIOR_OBSERVATIONS)
        ratios: Floats = np.maximum.accumulate(np.maximum(1.0, pooled), axis=0)
        return ratios

    def divisors(self, blocks: Floats) -> Floats:
        """D(h) for every h >= 1, between the measured lengths by ln h; shape (scores, len(blocks))."""
        ratios, place = self.ratios(), np.log2(blocks)
        return np.stack([np.interp(place, np.arange(LEVELS), column) for column in ratios.T])

    def state(self) -> dict[str, Any]:
        return {name.lstrip("_"): _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(len(state["squares"][0]))
        shape = (LEVELS, len(state["squares"][0]), -1)
        self._blocks = state["blocks"]
        self._sums = np.array(state["sums"], float).reshape(shape)
        self._energy = np.array(state["energy"], float).reshape(shape)
        self._squared_sums = np.array(state["squared_sums"], float)
        self._squares = np.array(state["squares"], float)
        self._observations = np.array(state["observations"], float)
        return self


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
