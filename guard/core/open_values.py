"""Values of one signal that became known in spans of time which have not been closed yet.

Owns order and lateness: a value belongs to the span in which it became known, and one that comes after its
span was closed counts in the oldest open one. Within a span, values come in an order that does not depend on
the order in which they were told, so that sums have the same last bit. Keeps nothing that was closed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.observations import Bools, Codes, Floats, Latencies


@dataclass(frozen=True)
class Values:
    """Columns: when known, arm, replica, ln seconds, and requests in flight at arrival (nan: unknown)."""

    at: Floats
    canary: Bools
    replica: Codes
    log_seconds: Floats
    in_flight: Floats

    def __len__(self) -> int:
        return len(self.at)

    def rows(self, which: Any) -> Self:
        """The rows that a mask, a slice or an order picks."""
        columns = (self.at, self.canary, self.replica, self.log_seconds, self.in_flight)
        return type(self)(*(column[which] for column in columns))


class OpenValues:
    """Spans of `span_seconds` each; span 0 begins at `start`."""

    def __init__(self, start: float, span_seconds: float) -> None:
        self._start, self._span_seconds = start, span_seconds
        self._parts: list[Values] = []

    def add(self, seen: Latencies) -> Values:
        """Takes what can be used, and gives it back: times and positive, finite seconds of known replicas."""
        fine = seen.usable()
        values = Values(fine.at, fine.canary, fine.replica, np.log(fine.seconds), fine.in_flight)
        if len(values):
            self._parts.append(values)
        return values

    def span_of(self, at: float) -> int:
        return int(np.floor((at - self._start) / self._span_seconds))

    def close(self, first: int, last: int) -> Iterator[Values]:
        """The values of every span from `first` (the oldest open one) up to, without, `last`."""
        values = _joined(self._parts)
        span = np.maximum(first, np.floor((values.at - self._start) / self._span_seconds))
        later = span >= last
        self._parts = [values.rows(later)] if later.any() else []
        order = np.lexsort((values.log_seconds, values.at, values.replica, span))
        values, span = values.rows(order), span[order]
        edges = np.searchsorted(span, np.arange(first, last + 1)).tolist()
        for begin, end in pairwise(edges):
            yield values.rows(slice(begin, end))

    def state(self) -> dict[str, Any]:
        values = _joined(self._parts)
        columns: dict[str, list[Any]] = {name: column.tolist() for name, column in vars(values).items()}
        columns["in_flight"] = [None if math.isnan(x) else x for x in columns["in_flight"]]
        return {"start": self._start, "span_seconds": self._span_seconds, **columns}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["start"], state["span_seconds"])
        values = Values(**{name: np.array(state[name], kind) for name, kind in _KINDS.items()})
        self._parts = [values] if len(values) else []
        return self


_KINDS: dict[str, npt.DTypeLike] = {
    "at": np.float64,
    "canary": np.bool_,
    "replica": np.int32,
    "log_seconds": np.float64,
    "in_flight": np.float64,
}


def _joined(parts: list[Values]) -> Values:
    if len(parts) == 1:
        return parts[0]
    columns = (
        np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
        for name, kind in _KINDS.items()
    )
    return Values(*columns)
