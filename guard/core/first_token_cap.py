"""How long a first token counts as at most: 6 times the p99 of the baseline before the rollout, 60 s at most.

Owns DESIGN 5.1's cap: a request that still waits is evidence, because its TTFT resolves at min(first token,
cap). Where nothing was seen before the rollout, the baseline's values so far take that place. Keeps a
histogram of 1 % wide buckets, never values.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.observations import Floats

FIRST_TOKEN_SECONDS = 60.0
CAP_RATIO = 6.0
MIN_VALUES = 8  # of the baseline, before they say anything; arbitrary
_LOWEST, _WIDTH = 1e-5, 0.01  # seconds; of a bucket, as a logarithm
_BUCKETS = math.ceil(math.log(FIRST_TOKEN_SECONDS / _LOWEST) / _WIDTH) + 1


class FirstTokenCap:
    """Feed the baseline's TTFTs; read `seconds`."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._before: npt.NDArray[np.int64] = np.zeros(_BUCKETS, dtype=np.int64)
        self._since = self._before.copy()
        self._seconds: float | None = None

    def add(self, at: Floats, ttft_seconds: Floats) -> None:
        """TTFTs above 0 of baseline requests, known at `at`."""
        bucket = np.clip(np.log(ttft_seconds / _LOWEST) / _WIDTH, 0, _BUCKETS - 1).astype(np.int64)
        before = at < self._start
        self._before += np.bincount(bucket[before], minlength=_BUCKETS)
        self._since += np.bincount(bucket[~before], minlength=_BUCKETS)
        if len(at):
            self._seconds = None

    @property
    def seconds(self) -> float:
        if self._seconds is None:
            self._seconds = self._find()
        return self._seconds

    def _find(self) -> float:
        counts = self._before if self._before.sum() >= MIN_VALUES else self._before + self._since
        if counts.sum() < MIN_VALUES:
            return FIRST_TOKEN_SECONDS
        bucket = int(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum()))
        p99 = _LOWEST * math.exp((bucket + 0.5) * _WIDTH)
        return min(FIRST_TOKEN_SECONDS, CAP_RATIO * p99)

    def state(self) -> dict[str, Any]:
        """Buckets that hold something, with their counts."""
        return {"start": self._start, "before": _sparse(self._before), "since": _sparse(self._since)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["start"])
        for counts, rows in ((self._before, state["before"]), (self._since, state["since"])):
            for bucket, n in rows:
                counts[bucket] = n
        return self


def _sparse(counts: npt.NDArray[np.int64]) -> list[list[int]]:
    return [[int(i), int(counts[i])] for i in np.flatnonzero(counts)]
