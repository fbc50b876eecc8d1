"""How much longer requests take when their replica is busier, learned from the baseline, from the past alone.

Owns DECISION's step 2: the weighted regression of the baseline's means of ln X, one a replica and bin, on
requests in flight, and the correction to one load for both arms. Only as much slope is used as is sure
(b less its standard error, never below 0), only over loads that the baseline has seen (its 5 to 95 %), and
at most 28 % of latency is ever explained by load. Neighbouring bins resemble each other, so three count as
one in the standard error.

Refuses to extrapolate: a canary that carries less than the baseline ever did is not made to look slower.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Codes, Floats

FORGET = math.exp(-10 / 1200)  # a bin
MIN_BINS = 15
MOST_CORRECTION = 0.25
BINS_PER_INDEPENDENT_ONE = 3.0
_MOST_IN_FLIGHT = 1023


class LoadSlope:
    """Read `correction` for a bin, then `add` its baseline values, then `forget`."""

    def __init__(self) -> None:
        self._bins = 0
        self._points = 0.0
        self._sums = [0.0] * 6  # of weights, x, y, xx, xy, yy over points; decayed
        self._loads = np.zeros(_MOST_IN_FLIGHT + 1)  # requests at each load; decayed
        self._most = 0  # load ever seen
        self._known: tuple[float, float, float, float] | None = None

    def add(self, replica: Codes, log_seconds: Floats, in_flight: Floats) -> None:
        """The baseline's values of one bin; those with unknown load say nothing here."""
        known = ~np.isnan(in_flight)
        if not known.any():
            return
        if not known.all():
            replica, log_seconds, in_flight = replica[known], log_seconds[known], in_flight[known]
        counts = np.bincount(replica)
        n = np.maximum(counts, 1)
        x, y = (np.bincount(replica, weights=values) for values in (in_flight, log_seconds))
        mean_x, mean_y = x / n, y / n
        seen = (replica.size, x.sum(), y.sum(), x @ mean_x, x @ mean_y, y @ mean_y)
        self._sums = [old + float(new) for old, new in zip(self._sums, seen, strict=True)]
        self._points += np.count_nonzero(counts)
        self._bins += 1
        place = np.clip(np.rint(in_flight), 0, _MOST_IN_FLIGHT).astype(np.intp)
        counts = np.bincount(place)
        self._loads[: counts.size] += counts
        self._most = max(self._most, counts.size - 1)
        self._known = None

    def forget(self) -> None:
        """A bin ends. Ratios of the sums stay what they are, only `points` matter to the slope's error."""
        self._sums = [FORGET * value for value in self._sums]
        self._loads[: self._most + 1] *= FORGET
        self._points *= FORGET
        self._known = None

    @property
    def known(self) -> bool:
        """Whether load was seen for long enough to be allowed for."""
        return self._bins >= MIN_BINS

    @property
    def slope(self) -> float:
        """b-: ln X per request in flight that is surely due to load; 0 while unknown."""
        return self._read()[0]

    @property
    def usual(self) -> tuple[float, float, float]:
        """The baseline's requests in flight: 5 %, mean, 95 %; nan where none is known."""
        return self._read()[1:]

    def correction(self, in_flight: Floats) -> Floats:
        """What to subtract from ln X so that it stands at the baseline's mean load; 0 where unknown."""
        slope, low, mean, high = self._read()
        if slope == 0:
            return np.zeros(in_flight.size)
        part = slope * (np.minimum(np.maximum(in_flight, low), high) - mean)
        limited: Floats = np.minimum(np.maximum(part, -MOST_CORRECTION), MOST_CORRECTION)
        limited[np.isnan(limited)] = 0.0
        return limited

    def _read(self) -> tuple[float, float, float, float]:
        if self._known is None:
            self._known = (self._slope() if self.known else 0.0, *self._range())
        return self._known

    def _range(self) -> tuple[float, float, float]:
        below = np.cumsum(self._loads[: self._most + 1])
        if not below[-1] > 1e-200:
            return math.nan, math.nan, math.nan
        total = float(below[-1])
        low, high = (float(below.searchsorted(level * total)) for level in (0.05, 0.95))
        return low, self._sums[1] / self._sums[0], high

    def _slope(self) -> float:
        weight, sx, sy, sxx, sxy, syy = self._sums
        if not weight > 1e-200:
            return 0.0
        mean_x, mean_y = sx / weight, sy / weight
        var_x = sxx / weight - mean_x**2
        if var_x <= 1e-9 * (1 + mean_x**2):  # one load throughout
            return 0.0
        slope = (sxy / weight - mean_x * mean_y) / var_x
        residual = max(0.0, syy / weight - mean_y**2 - slope**2 * var_x)
        error = math.sqrt(residual / var_x / (self._points / BINS_PER_INDEPENDENT_ONE))
        return max(0.0, slope - error)

    def state(self) -> dict[str, Any]:
        held = np.flatnonzero(self._loads)
        return {
            "bins": self._bins,
            "points": self._points,
            "most": self._most,
            "sums": self._sums,
            "loads": [[int(i), float(self._loads[i])] for i in held],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._bins, self._points, self._most = state["bins"], state["points"], state["most"]
        self._sums = list(state["sums"])
        for load, weight in state["loads"]:
            self._loads[load] = weight
        return self
