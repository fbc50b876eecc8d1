"""Marks of bins that are still open, in order of time once their bin closes.

Owns what happens to late ones: they stay for the oldest open bin, whose end they are before. A moment that is
no finite number is dropped; whoever read it has counted it.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Marks


class OpenMarks:
    """Add in any order; take bin by bin."""

    def __init__(self) -> None:
        self._new: list[Marks] = []
        self._sorted = Marks(np.zeros(0), np.zeros(0, np.bool_), np.zeros(0, np.int32))

    def add(self, marks: Marks) -> None:
        if len(marks.at):
            self._new.append(marks)

    def __bool__(self) -> bool:
        return bool(self._new) or len(self._sorted.at) > 0

    def take(self, end: float) -> Marks:
        """Those before `end`; they are gone."""
        if self._new:
            self._sorted, self._new = _in_order([self._sorted, *self._new]), []
        place = int(np.searchsorted(self._sorted.at, end, side="left"))
        due, self._sorted = _rows(self._sorted, slice(place)), _rows(self._sorted, slice(place, None))
        return due

    def state(self) -> dict[str, Any]:
        marks = _in_order([self._sorted, *self._new])
        return {name: column.tolist() for name, column in vars(marks).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        kinds = {"at": np.float64, "canary": np.bool_, "replica": np.int32}
        self._sorted = Marks(**{name: np.array(state[name], kind) for name, kind in kinds.items()})
        return self


def _in_order(parts: list[Marks]) -> Marks:
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    order = order[np.isfinite(at[order])]
    canary = np.concatenate([part.canary for part in parts])
    return Marks(at[order], canary[order], np.concatenate([part.replica for part in parts])[order])


def _rows(marks: Marks, rows: slice) -> Marks:
    return Marks(marks.at[rows], marks.canary[rows], marks.replica[rows])
