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
MOST_BINS_AT_ONCE = 8640  # a day of silence, or a clock that jumped; what is beyond is passed over


class BinBuffer:
    """`add` columns, `take` the bins that have ended."""

    def __init__(self, start: float, columns: int) -> None:
        self._start = start
        self._rows: list[Floats] = [np.zeros((columns, 0))]

    def add(self, rows: Floats) -> None:
        """Shape (columns, n); `rows[0]` is finite."""
        if rows.shape[1]:
            self._rows.append(rows)

    def ended(self, now: float) -> int:
        """The first bin that has not ended by `now`."""
        return math.floor((now - self._start) / BIN_SECONDS)

    def oldest(self) -> int | None:
        """The bin of the first value that is held."""
        at = np.concatenate([rows[0] for rows in self._rows])
        return max(-HISTORY_BINS, self.ended(float(at.min()))) if at.size else None

    def take(self, first: int, end: int) -> list[Floats]:
        """The columns of each bin from `first` on, before `end`; they are held no longer."""
        rows = np.concatenate(self._rows, axis=1) if len(self._rows) > 1 else self._rows[0]
        if not rows.shape[1]:
            return [rows] * (end - first)
        bins = np.maximum(np.floor((rows[0] - self._start) / BIN_SECONDS), first)
        order = np.argsort(bins, kind="stable")
        rows, edges = rows[:, order], np.searchsorted(bins[order], np.arange(first, end + 1))
        self._rows = [rows[:, edges[-1] :].copy()]
        return [np.ascontiguousarray(rows[:, a:b]) for a, b in pairwise(edges)]

    def state(self) -> list[list[float | None]]:
        """Columns; nan as None, which every JSON reader knows."""
        rows = np.concatenate(self._rows, axis=1)
        return [[None if math.isnan(value) else value for value in column.tolist()] for column in rows]

    @classmethod
    def from_state(cls, start: float, state: Sequence[Sequence[Any]]) -> Self:
        self = cls(start, len(state))
        columns = [[math.nan if value is None else value for value in column] for column in state]
        self._rows = [np.array(columns, float).reshape(len(state), -1)]
        return self
