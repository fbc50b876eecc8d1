"""How many values one replica of each arm gives, and which to leave out so that both arms give alike.

Owns the rates (forgotten over ten minutes) and the thinning of the busier arm: every so many values of each
of its replicas, evenly in time. Scores of few values scatter more than scores of many, so replicas of arms
with unlike counts are not exchangeable, and ranking them would find the sparser arm "slower" or "faster" by
chance alone. Refuses to see values: only counts decide.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Bools, Floats
from guard.core.open_values import Values

LIKE_RATE = 0.8  # arbitrary: above it the arms' rates count as alike
KEPT_PER_SPAN = math.exp(-15 / 600)
PRIOR_VALUES = (
    20.0  # arbitrary: the canary's rate begins as the baseline's, with the weight of so many values
)


class RequestRates:
    """Values per replica and span of both arms: baseline first, canary second."""

    def __init__(self) -> None:
        self.replicas = [0, 0]  # as told; 0 where nothing was told
        self._seen = np.zeros((2, 2))  # by arm: values, and replica-spans
        self._met = np.zeros(0)  # by replica code: values that thinning has looked at

    def count(self, values: Values, is_canary: Bools) -> None:
        """One span's values; `is_canary` by replica code, of all replicas met so far."""
        counts = np.bincount(values.canary.astype(np.intp), minlength=2)
        met = np.bincount(is_canary.astype(np.intp), minlength=2)
        replicas = np.where(np.array(self.replicas) > 0, self.replicas, met)
        begun = (counts > 0) | (self._seen[:, 0] > 0)  # before its first value an arm is not there
        self._seen = self._seen * KEPT_PER_SPAN + np.stack([counts, replicas * begun], axis=1)

    def per_replica(self) -> tuple[float, float]:
        (baseline, spans), (canary, canary_spans) = self._seen.tolist()
        if not baseline:
            return 0.0, canary / canary_spans if canary_spans else 0.0
        rate = baseline / spans
        return rate, (canary + PRIOR_VALUES) / (canary_spans + PRIOR_VALUES / rate)

    @property
    def are_alike(self) -> bool:
        """Whether replicas of both arms are asked about as often; so while the canary was not seen."""
        rates = self.per_replica()
        return not self._seen[1, 0] or min(rates) >= LIKE_RATE * max(rates)

    def alike(self, values: Values) -> Bools:
        """Which values to keep; `values` are sorted by replica, then time."""
        if self.are_alike:
            return np.ones(len(values), np.bool_)
        baseline, canary = self.per_replica()
        share = np.where(values.canary, min(1.0, baseline / canary), min(1.0, canary / baseline))
        place = self._places(values)
        keep: Bools = np.floor((place + 1) * share) > np.floor(place * share)
        return keep

    def _places(self, values: Values) -> Floats:
        """How many values of its replica came before each."""
        counts = np.bincount(values.replica, minlength=len(self._met))
        met = np.zeros(len(counts))
        met[: len(self._met)] = self._met
        first = np.cumsum(counts) - counts
        places: Floats = met[values.replica] + np.arange(len(values)) - first[values.replica]
        self._met = met + counts
        return places

    def state(self) -> dict[str, Any]:
        return {"replicas": list(self.replicas), "seen": self._seen.tolist(), "met": self._met.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self.replicas = list(state["replicas"])
        self._seen = np.array(state["seen"], np.float64)
        self._met = np.array(state["met"], np.float64)
        return self
