"""What sources told of one signal in a small fleet, by bins that have ended: requests and paired probes.

Owns what counts as a latency, and the order of bins. Shared by the evidence of harm (`latency_evidence`) and
the proof of the contrary (`small_fleet_proof`), which each bet on the same bins. Refuses to compare.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from guard.core.bin_buffer import MOST_BINS_AT_ONCE, BinBuffer
from guard.core.observations import MOST, Floats, Latencies


@dataclass(frozen=True)
class SmallFleetBin:
    """One bin.

    Attributes:
        live: Since the first step; else history.
        rows: When known, canary (1) or not, replica code, seconds, load (nan: unknown); shape (5, requests).
        pairs: ln(canary / baseline) of paired probes.
    """

    live: bool
    rows: Floats
    pairs: Floats


class SmallFleetBins:
    """`add` what became known; `close` gives the bins that have ended, each once."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._next_bin: int | None = None
        self._values, self._pairs = BinBuffer(start, 5), BinBuffer(start, 2)

    def add(self, seen: Latencies) -> None:
        """Requests whose latency became known; what is no latency is left out."""
        fine = seen.usable()
        rows = (fine.at, fine.canary, fine.replica, fine.seconds, fine.in_flight)
        self._values.add(np.array(rows, float))

    def add_pairs(self, at: Floats, log_ratio: Floats) -> None:
        """Paired probes: ln(canary / baseline), known at `at`. Their requests are not given to `add`, too."""
        fine = np.isfinite(at) & (np.abs(log_ratio) < math.log(MOST))
        self._pairs.add(np.array((at[fine], log_ratio[fine]), float))

    def close(self, now: float) -> Iterator[SmallFleetBin]:
        """The bins that ended by `now`, in order; a clock that stepped back closes none."""
        if not math.isfinite(now):
            return
        end = self._values.ended(now)
        first = self._first_bin() if self._next_bin is None else self._next_bin
        if end <= first:
            return
        first = max(first, end - MOST_BINS_AT_ONCE)
        values, pairs = self._values.take(first, end), self._pairs.take(first, end)
        self._next_bin = end
        for i in range(end - first):
            yield SmallFleetBin(first + i >= 0, values[i], pairs[i][1])

    def _first_bin(self) -> int:
        held = (self._values.oldest(), self._pairs.oldest())
        return min([0, *(bin_ for bin_ in held if bin_ is not None)])

    def state(self) -> dict[str, Any]:
        """JSON values; nan never."""
        return {
            "start": self._start,
            "next_bin": self._next_bin,
            "values": self._values.state(),
            "pairs": self._pairs.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["start"])
        self._next_bin = state["next_bin"]
        self._values = BinBuffer.from_state(state["start"], state["values"])
        self._pairs = BinBuffer.from_state(state["start"], state["pairs"])
        return self
