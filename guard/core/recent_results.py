"""How many requests of each arm ended, and how many badly, in each second of the last minutes.

Owns one source's short memory, by the second: it grows with time up to 300 s, never with traffic. A result
that comes late counts in its own second while that is remembered. Refuses to judge.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.observations import Bools, Floats
from guard.core.samples import Arm

MEMORY_SECONDS = 300.0
_FAR = 1e15  # seconds; no clock shows more
_ARMS = (Arm.BASELINE, Arm.CANARY)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """Results that ended; `bad` without the `client_errors` (4xx)."""

    requests: int = 0
    bad: int = 0
    client_errors: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.requests + other.requests, self.bad + other.bad, self.client_errors + other.client_errors
        )

    @property
    def all_bad(self) -> int:
        return self.bad + self.client_errors


class RecentResults:
    """Feed columns; ask for sums."""

    def __init__(self) -> None:
        self._seconds = np.zeros(0, np.int64)  # in order; only those in which something ended
        self._counts = np.zeros((0, 6), np.int64)  # requests, bad, client errors of the baseline, the canary

    def add(self, at: Floats, canary: Bools, counts: Counts) -> None:
        """Takes results in any order, at finite moments.

        Args:
            counts: Requests, bad and client errors; shape (results, 3).
        """
        new = np.floor(np.clip(at, -_FAR, _FAR)).astype(np.int64)
        seconds, place = np.unique(np.concatenate([self._seconds, new]), return_inverse=True)
        old = len(self._seconds)
        both = np.zeros((len(seconds), 6), np.int64)
        both[place[:old]] = self._counts
        np.add.at(both, (place[old:, None], 3 * canary[:, None] + np.arange(3)), counts)
        self._seconds, self._counts = seconds, both

    def forget(self, now: float) -> None:
        """What ended more than 300 s before `now`."""
        first = int(np.searchsorted(self._seconds, math.floor(now - MEMORY_SECONDS)))
        if first:
            self._seconds, self._counts = self._seconds[first:], self._counts[first:]

    def tally(self, arm: Arm, since: float = -math.inf, until: float = math.inf) -> Tally:
        """Sums over whole seconds within [since, until]."""
        begin, end = np.searchsorted(self._seconds, [since, until], side="left")
        column = 3 * _ARMS.index(arm)
        return Tally(*self._counts[begin:end, column : column + 3].sum(0).tolist())

    def state(self) -> dict[str, Any]:
        return {"seconds": self._seconds.tolist(), "counts": self._counts.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._seconds = np.array(state["seconds"], np.int64)
        self._counts = np.array(state["counts"], np.int64).reshape(-1, 6)
        return self
