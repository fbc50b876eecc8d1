"""Requests of both arms by time since a step's weight settled, in at most 512 bins however long the step is.

Owns bins: 10 s each, and twice as long whenever there would be more than 512. A bin counts once it has ended;
late requests count in the oldest open one, and those from before the beginning not at all. Refuses to judge.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.observations import Floats

BIN_SECONDS = 10.0
MOST_BINS = 512

Counts = npt.NDArray[np.int64]


class ShareBins:
    """Feed moments; `close` gives what has ended."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.bin_seconds = BIN_SECONDS
        self._closed = np.zeros((0, 2), np.int64)  # canary's requests, all requests
        self._open: dict[int, Counts] = {}

    def add(self, at: Floats, canary: Counts, requests: Counts) -> None:
        """Takes finite moments, and how many requests of the canary, and of both arms, each stands for."""
        recent = at >= self.begin
        places = np.floor((at[recent] - self.begin) / self.bin_seconds)
        counts = np.stack([canary[recent], requests[recent]], axis=1)
        unique, row = np.unique(places, return_inverse=True)
        sums = np.zeros((len(unique), 2), np.int64)
        np.add.at(sums, row, counts)
        for place, count in zip(unique.tolist(), sums, strict=True):
            self._add(max(int(place), len(self._closed)), count)

    def _add(self, place: int, count: Counts) -> None:
        self._open[place] = self._open[place] + count if place in self._open else count

    def close(self, now: float) -> Counts:
        """Requests of the canary and of both arms in every bin that has ended; shape (bins, 2)."""
        if not math.isfinite(now - self.begin):
            return self._closed
        while (now - self.begin) / self.bin_seconds > MOST_BINS:
            self._double()
        due = math.floor((now - self.begin) / self.bin_seconds)
        if due > len(self._closed):
            nothing = np.zeros(2, np.int64)
            ended = [self._open.pop(place, nothing) for place in range(len(self._closed), due)]
            self._closed = np.concatenate([self._closed, ended])
        return self._closed

    def _double(self) -> None:
        """Every two bins become one; the last of an odd number is open again."""
        pairs = len(self._closed) // 2
        rest = self._closed[2 * pairs :]
        earlier, self._open = self._open, {}
        self._closed = self._closed[: 2 * pairs].reshape(pairs, 2, 2).sum(1)
        self.bin_seconds *= 2
        for count in rest:
            self._add(pairs, count)
        for place, count in earlier.items():
            self._add(place // 2, count)

    def state(self) -> dict[str, Any]:
        return {
            "begin": self.begin,
            "bin_seconds": self.bin_seconds,
            "closed": self._closed.tolist(),
            "open": [[place, *count.tolist()] for place, count in self._open.items()],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["begin"])
        self.bin_seconds = state["bin_seconds"]
        self._closed = np.array(state["closed"], np.int64).reshape(-1, 2)
        self._open = {place: np.array(count, np.int64) for place, *count in state["open"]}
        return self
