"""Did both arms' replicas carry loads at which they can be compared?

Owns one question: is the canary so much less (or more) busy than the baseline that live traffic cannot be
compared at one load? Then a slowdown that shows under load only may stay hidden. That is so when most of the
canary's requests met a load outside what the baseline usually has, or, while the slope is not known, when
mean loads are more than a quarter apart. Counts begin anew with each step, because the weight sets the load.
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
        self.start_step()

    def start_step(self) -> None:
        self._canary, self._baseline = (0, 0.0), (0, 0.0)  # requests with known load, sum of these loads
        self._outside = 0  # of the canary's

    def add(self, canary: Floats, baseline: Floats, usual: tuple[float, float, float]) -> None:
        """One bin's loads, nan where unknown; `usual` is the baseline's 5 %, mean, 95 %."""
        low, _, high = usual
        canary = canary[~np.isnan(canary)]
        self._canary = _more(self._canary, canary)
        self._baseline = _more(self._baseline, baseline[~np.isnan(baseline)])
        self._outside += int(np.count_nonzero((canary < low) | (canary > high)))

    @property
    def means(self) -> tuple[float, float] | None:
        """Mean requests in flight met by the canary's and by the baseline's requests; None: too few known."""
        (n_b, sum_b), (n_c, sum_c) = self._baseline, self._canary
        return (sum_c / n_c, sum_b / n_b) if min(n_b, n_c) >= MIN_REQUESTS else None

    def differs(self, slope_known: bool) -> bool:
        if self.means is None:
            return False
        canary, baseline = self.means
        if abs(canary - baseline) < APART_REQUESTS:
            return False
        if slope_known:
            return self._outside > self._canary[0] / 2
        return max(canary, baseline) > APART_RATIO * min(canary, baseline)

    def state(self) -> list[float]:
        return [*self._canary, *self._baseline, self._outside]

    @classmethod
    def from_state(cls, state: Sequence[float]) -> Self:
        self = cls()
        self._canary, self._baseline = (int(state[0]), state[1]), (int(state[2]), state[3])
        self._outside = int(state[4])
        return self


def _more(counted: tuple[int, float], loads: Floats) -> tuple[int, float]:
    return counted[0] + loads.size, counted[1] + float(loads.sum())
