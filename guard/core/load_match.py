"""Did both arms' replicas carry loads at which they can be compared?

Owns one question: is the canary so much less (or more) busy than the baseline that the comparison of live
traffic cannot be made at one load. That is so when most of the canary's requests met a load outside what the
baseline usually has, or, while the slope is not known, when mean loads are more than a quarter apart.
Counts begin anew with each step, because the weight sets the load.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from guard.core.observations import Floats

MIN_REQUESTS = 8  # of each arm, with known load; arbitrary
APART_RATIO = 1.25  # arbitrary: below it, queueing hardly differs
APART_REQUESTS = 0.5  # and at least this far: at nearly no load a ratio says nothing


class LoadMatch:
    """Requests in flight that the step's requests met."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 2))  # arm (baseline, canary): requests, sum of their loads
        self._outside = 0  # of the canary's

    def start_step(self) -> None:
        self._sums[:] = 0.0
        self._outside = 0

    def add(self, canary: Floats, baseline: Floats, low: float, high: float) -> None:
        """One bin's known loads; `low` and `high` are the baseline's 5 and 95 %."""
        self._sums += ((baseline.size, float(baseline.sum())), (canary.size, float(canary.sum())))
        self._outside += int(np.count_nonzero((canary < low) | (canary > high)))

    @property
    def means(self) -> tuple[float, float] | None:
        """Mean requests in flight met by the canary's and by the baseline's requests; None: too few known."""
        (n_b, sum_b), (n_c, sum_c) = self._sums.tolist()
        return (sum_c / n_c, sum_b / n_b) if min(n_b, n_c) >= MIN_REQUESTS else None

    def differs(self, slope_known: bool) -> bool:
        if self.means is None:
            return False
        canary, baseline = self.means
        if abs(canary - baseline) < APART_REQUESTS:
            return False
        if slope_known:
            return bool(self._outside > self._sums[1, 0] / 2)
        return max(canary, baseline) > APART_RATIO * min(canary, baseline)

    def state(self) -> list[float]:
        return [*self._sums.ravel().tolist(), self._outside]

    @classmethod
    def from_state(cls, state: Sequence[float]) -> Self:
        self = cls()
        self._sums = np.array(state[:4], float).reshape(2, 2)
        self._outside = int(state[4])
        return self
