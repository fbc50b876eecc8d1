"""How much one paired probe's log-ratio varies by itself.

Owns the variance of pairs: learned from successive differences, which a step or a drift hardly enters, with
a prior of .3^2 on 4 pairs. Says nothing (`known`) before 8 pairs; both numbers are arbitrary. A bin's own
pairs count in what is said of it: their differences tell nothing of their mean. Also owns how far one pair
may stand out: 3 sd from its bin's median, so that one stuck request is not a slowdown.
"""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np

from guard.core.observations import Floats

PRIOR_VARIANCE, PRIOR_PAIRS = 0.3**2, 4.0
MIN_PAIRS = 8
CLIP_SD = 3.0


class PairNoise:
    """`add` a bin's pairs, then read it for the bin."""

    def __init__(self) -> None:
        self.pairs = 0
        self._squares = 0.0
        self._last = math.nan

    @property
    def known(self) -> bool:
        return self.pairs >= MIN_PAIRS

    @property
    def variance(self) -> float:
        return (self._squares + PRIOR_VARIANCE * PRIOR_PAIRS) / (max(0, self.pairs - 1) + PRIOR_PAIRS)

    def clipped(self, log_ratio: Floats) -> Floats:
        """One bin's pairs, none far from its median; not empty."""
        middle, reach = float(np.median(log_ratio)), CLIP_SD * math.sqrt(self.variance)
        return np.clip(log_ratio, middle - reach, middle + reach)

    def add(self, log_ratio: Floats) -> None:
        """One bin's pairs in the order in which they came."""
        if not log_ratio.size:
            return
        steps = np.diff(log_ratio if math.isnan(self._last) else np.concatenate([[self._last], log_ratio]))
        self._squares += float((steps**2).sum()) / 2
        self._last = float(log_ratio[-1])
        self.pairs += log_ratio.size

    def state(self) -> list[float | None]:
        return [self.pairs, self._squares, None if math.isnan(self._last) else self._last]

    @classmethod
    def from_state(cls, state: Sequence[float | None]) -> Self:
        self = cls()
        pairs, squares, last = state
        self.pairs, self._squares = int(pairs or 0), squares or 0.0
        self._last = math.nan if last is None else last
        return self
