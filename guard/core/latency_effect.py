"""How much longer the canary's requests take, with an interval.

Owns the ratio of geometric means at matched load since the likeliest onset: bins weighted by their precision.
The 95 % interval holds the requests' noise (more when bins disagree more than they should), the slow noise,
which averages out over time, and the lasting difference of replicas, which never does. Refuses to decide.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

WANDER_SECONDS = 120.0
BIN_SECONDS = 10.0
AGREEMENT_PRIOR_BINS = 10.0


class LatencyEffect:
    """`open_bin`, `add` what was seen, `interval` since an onset."""

    def __init__(self, planned_bins: int) -> None:
        self._totals = np.zeros(4)  # bins; precision, and times d, and times d^2
        self._before = np.zeros((4, max(1, planned_bins)))  # the totals when each onset was opened
        self._opened = 0

    def open_bin(self) -> None:
        if self._opened < self._before.shape[1]:
            self._before[:, self._opened] = self._totals
            self._opened += 1

    def add(self, d: float, variance: float) -> None:
        """One bin's difference of ln X, and the variance of its own noise."""
        precision = 1 / max(variance, 1e-12)
        self._totals += (1.0, precision, precision * d, precision * d * d)

    @property
    def bins(self) -> int:
        """Observations so far: a bin's traffic is one, its pairs another."""
        return int(self._totals[0])

    def interval(self, onset: int, machines: float, wander: float) -> tuple[float, float, float] | None:
        """Ratio, and its 95 % interval; None where nothing was seen.

        Args:
            machines, wander: Variances of d's lasting and slow parts.
        """
        if self.bins == 0:
            return None
        since = self._before[:, onset]
        bins, precision, first, second = (self._totals - since).tolist()
        if bins < 0.5:  # an onset of which nothing has been seen yet
            bins, precision, first, second = self._totals.tolist()
        middle = first / precision
        spread = max(0.0, second - first * middle)
        disagree = max(1.0, (spread + AGREEMENT_PRIOR_BINS) / (bins - 1 + AGREEMENT_PRIOR_BINS))
        slow = machines + wander * min(1.0, 2 * WANDER_SECONDS / (bins * BIN_SECONDS))
        half = 1.96 * math.sqrt(disagree / precision + slow)
        return math.exp(middle), math.exp(middle - half), math.exp(middle + half)

    def state(self) -> dict[str, Any]:
        return {
            "planned_bins": self._before.shape[1],
            "totals": self._totals.tolist(),
            "before": self._before[:, : self._opened].tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["planned_bins"])
        self._totals = np.array(state["totals"], float)
        before = np.array(state["before"], float).reshape(4, -1)
        self._opened = before.shape[1]
        self._before[:, : self._opened] = before
        return self
