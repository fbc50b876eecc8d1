"""Values in columns until the bin in which they became known has ended.

Owns which bin a value belongs to: bin b is [start + 10 b, start + 10 (b + 1)), those below 0 are history. A
value that comes late counts in the oldest bin that is still open. Refuses to know what the columns mean,
except the first: when each became known, seconds.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np

from guard.core.observations import Floats

BIN_SECONDS = 10.0
HISTORY_BINS = 360  # an hour; older history counts in the oldest of these
MOST_BINS_AT_ONCE = 360  # an hour of silence says what a day would; then, or when a clock jumped ahead


class BinBuffer:
    """`add` columns, `take` the bins that have ended."""

    def __init__(self, start: float, columns: int) -> None:
        self._start = start
        self._rows = np.zeros((columns, 0))  # in order of their bins
        self._bins = np.zeros(0)
        self._new: list[Floats] = []

    def add(self, rows: Floats) -> None:
        """Shape (columns, n); `rows[0]` is finite."""
        if rows.shape[1]:
            self._new.append(rows)

    def ended(self, now: float) -> int:
        """The first bin that has not ended by `now`."""
        return math.floor((now - self._start) / BIN_SECONDS)

    def oldest(self) -> int | None:
        """The bin of the first value that is held."""
        self._sort()
        return max(-HISTORY_BINS, int(self._bins[0])) if self._bins.size else None

    def take(self, first: int, end: int) -> list[Floats]:
        """The columns of each bin from `first` on, before `end`; they are held no longer."""
        self._sort()
        edges = [0, *self._bins.searchsorted(np.arange(first + 1, end + 1)).tolist()]
        bins = [self._rows[:, a:b] for a, b in pairwise(edges)]
        self._rows, self._bins = self._rows[:, edges[-1] :], self._bins[edges[-1] :]
        return bins

    def _sort(self) -> None:
        if not self._new:
            return
        rows = np.concatenate([self._rows, *self._new], axis=1)
        bins = np.floor((rows[0] - self._start) / BIN_SECONDS)
        order = np.argsort(bins, kind="stable")
        self._rows, self._bins, self._new = rows[:, order], bins[order], []

    def state(self) -> list[list[float | None]]:
        """Columns; nan as None, which every JSON reader knows."""
        self._sort()
        return [[None if math.isnan(value) else value for value in column.tolist()] for column in self._rows]

    @classmethod
    def from_state(cls, start: float, state: Sequence[Sequence[Any]]) -> Self:
        self = cls(start, len(state))
        columns = [[math.nan if value is None else value for value in column] for column in state]
        self.add(np.array(columns, float).reshape(len(state), -1))
        return self
