"""How long the baseline's requests usually take: its middle, its spread and its tail, from the past alone.

Owns DECISION's baseline histogram of ln X, in which a value's weight halves in about 140 s (exp(-t/200 s)).
Whoever scores a bin reads it first and adds the bin's values afterwards; this module cannot check that.
Buckets are 1 % wide and quantiles lie inside them in proportion, so that values that are all equal have a
defined place. Refuses values one by one, arms, and load.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from guard.core.observations import Floats

MEMORY_SECONDS = 200.0
LEAST_SIGMA = 0.05
Q90_SIGMAS = 1.2816  # the normal distribution's 90 % point
MIN_VALUES = 20  # before it says anything; arbitrary: a spread out of fewer is mostly chance
_LOWEST, _HIGHEST, _WIDTH = (
    math.log(1e-5),
    math.log(600.0),
    0.01,
)  # seconds; what lies outside is put at the end
_BUCKETS = math.ceil((_HIGHEST - _LOWEST) / _WIDTH)


class LatencyScale:
    """Feed the baseline's ln X with `add`, let time pass with `forget`, read any quantile."""

    def __init__(self) -> None:
        self._weights = np.zeros(_BUCKETS)
        self._weight = 0.0  # of all
        self._held = _BUCKETS, 0  # from, up to: buckets that ever held anything
        self._values = 0

    @property
    def known(self) -> bool:
        """Whether it may be read; a silence of many hours forgets all."""
        return self._values >= MIN_VALUES and self._weight > 1e-200

    def add(self, log_seconds: Floats) -> None:
        """Finite ln X of the baseline's requests."""
        if log_seconds.size:
            place = (log_seconds - _LOWEST) * (1 / _WIDTH)
            place = np.minimum(np.maximum(place, 0), _BUCKETS - 1).astype(np.intp)
            self._weights += np.bincount(place, minlength=_BUCKETS)
            self._weight += log_seconds.size
            self._held = min(self._held[0], int(place.min())), max(self._held[1], int(place.max()) + 1)
            self._values += log_seconds.size

    def forget(self, seconds: float) -> None:
        """Time passes, with values or without."""
        kept = math.exp(-seconds / MEMORY_SECONDS)
        self._weights[self._held[0] : self._held[1]] *= kept
        self._weight *= kept

    def log_quantiles(self, levels: Sequence[float]) -> Floats:
        """ln X at each level between 0 and 1; nan while not `known`."""
        if not self.known:
            return np.full(len(levels), np.nan)
        low, high = self._held
        below = np.cumsum(self._weights[low:high])
        return np.array([low * _WIDTH + self._place(below, level * float(below[-1])) for level in levels])

    def _place(self, below: Floats, wanted: float) -> float:
        bucket = min(int(below.searchsorted(wanted)), below.size - 1)
        under = float(below[bucket - 1]) if bucket else 0.0
        inside = (wanted - under) / max(float(below[bucket]) - under, 1e-300)
        return _LOWEST + (bucket + min(max(inside, 0.0), 1.0)) * _WIDTH

    def mu_sigma(self) -> tuple[float, float]:
        """Median and spread of ln X; nan while not `known`."""
        middle, q90 = self.log_quantiles((0.5, 0.9)).tolist()
        return middle, max(LEAST_SIGMA, (q90 - middle) / Q90_SIGMAS) if self.known else math.nan

    def state(self) -> dict[str, Any]:
        """Buckets that hold something, with their weights."""
        held = np.flatnonzero(self._weights)
        rows = [[int(i), float(self._weights[i])] for i in held]
        return {"values": self._values, "weight": self._weight, "held": list(self._held), "weights": rows}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._values, self._weight = state["values"], state["weight"]
        self._held = state["held"][0], state["held"][1]
        for bucket, weight in state["weights"]:
            self._weights[bucket] = weight
        return self
