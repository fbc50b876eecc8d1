"""A replica's latency histogram as blocks of time: what the cumulative counters grew by, and what that tells.

Owns the differences of successive readings and what becomes of readings that cannot be: each is counted by
reason and never guessed. Refuses to know how a histogram was read, and to compare.

A block has an exact mean (sum / count); where its values lay is known to their bucket only. Seconds on the
clock of the caller.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from guard.core.samples import Arm, Source
from guard.core.small_fleet import Signal

BLOCK_SECONDS = 10.0  # a bin of DECISION
LONGEST_SECONDS = 60.0  # arbitrary: what grew over a longer outage says too little of when
MOST_COUNTED = (
    10**15
)  # of one reading; arbitrary: a replica counts a billion gaps in days, and 64 bits hold more

NO_NUMBER = "an edge, count or sum is not a number, negative, or beyond any count"
NO_LAST_BUCKET = "no +Inf bucket"
NO_EDGE = "no bucket but +Inf"
NOT_CUMULATIVE = "counts fall from one bucket to the next"
TWO_OF_ONE_EDGE = "an edge is there twice"
OTHER_EDGES = "bucket edges changed"
RESET = "counter began anew"
CLOCK = "read at no later moment than before"
TOO_LONG = f"more than {LONGEST_SECONDS:g} s between two readings"


@dataclass(frozen=True)
class Cumulative:
    """One reading. `counts[i]` is of values up to `edges[i]`, the last of all; `total` is their sum."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True)
class HistogramBlock:
    """Values of one replica that were observed in (start, start + seconds].

    Attributes:
        edges: Upper edges of the buckets, seconds, rising; the bucket of what lies above has none.
        counts: Values in each bucket, one more than edges.
        total: Sum of all values, seconds; exact.
    """

    source: Source
    arm: Arm
    replica: str
    signal: Signal
    start: float
    seconds: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def end(self) -> float:
        """When the block is known: nothing in it may be used before."""
        return self.start + self.seconds

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Seconds, exact; wants a value."""
        return self.total / self.count

    @property
    def is_sound(self) -> bool:
        """Whether it can be: made by `HistogramDifferences` it is."""
        numbers = (self.start, self.seconds, self.total, *self.edges)
        fine = all(map(math.isfinite, numbers)) and self.seconds > 0 and self.total >= 0
        fine = fine and len(self.edges) == len(self.counts) - 1 > 0 and min(self.counts) >= 0
        return fine and all(low < high for low, high in pairwise((0.0, *self.edges)))

    def to_json(self) -> dict[str, Any]:
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}
        return {**plain, "source": str(self.source), "arm": str(self.arm)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        enums = {"source": Source(row["source"]), "arm": Arm(row["arm"])}
        return cls(**{**row, **enums, "edges": tuple(row["edges"]), "counts": tuple(row["counts"])})


def cumulative(buckets: Iterable[tuple[float, float]], total: float) -> Cumulative:
    """A reading from (le, count) rows in any order, as Prometheus has them.

    Raises:
        ValueError: It cannot be; the message is one of this module's reasons.
    """
    rows = sorted(buckets)
    fine = all(not math.isnan(le) and 0 <= count <= MOST_COUNTED for le, count in rows)
    if not fine or not math.isfinite(total) or total < 0 or (rows and rows[0][0] <= 0):
        raise ValueError(NO_NUMBER)
    if not rows or rows[-1][0] != math.inf:
        raise ValueError(NO_LAST_BUCKET)
    if len(rows) == 1:
        raise ValueError(NO_EDGE)
    if any(low == high for (low, _), (high, _) in pairwise(rows)):
        raise ValueError(TWO_OF_ONE_EDGE)
    counts = tuple(int(count) for _, count in rows)
    if any(less > more for less, more in pairwise(counts)):
        raise ValueError(NOT_CUMULATIVE)
    return Cumulative(tuple(le for le, _ in rows[:-1]), counts, total)


def in_buckets(counts: Iterable[int]) -> tuple[int, ...]:
    """Values in each bucket, of cumulative counts."""
    return tuple(more - less for less, more in pairwise([0, *counts]))


def quantile_edges(edges: tuple[float, ...], counts: tuple[int, ...], q: float) -> tuple[float, float] | None:
    """The edges of the bucket in which the quantile lies, infinite above the last; None of no values.

    All that buckets know of a tail: 0.26 and 0.49 s share the bucket from 0.25 to 0.5.
    """
    wanted, seen = q * sum(counts), 0
    bounds = pairwise((0.0, *edges, math.inf))
    for bucket, count in zip(bounds, counts, strict=True):
        seen += count
        if seen and seen >= wanted:
            return bucket
    return None


class HistogramDifferences:
    """One histogram of one replica: `take` each reading; it gives the block that has become whole.

    Attributes:
        dropped: Readings that gave nothing, by reason; a reset is one of them.
    """

    def __init__(self, source: Source, arm: Arm, replica: str, signal: Signal) -> None:
        self._of = source, arm, replica, signal
        self._base: tuple[float, Cumulative] | None = None  # where the open block begins
        self._last: tuple[float, Cumulative] | None = None
        self.dropped: Counter[str] = Counter()

    def take(self, at: float, buckets: Iterable[tuple[float, float]], total: float) -> HistogramBlock | None:
        """A reading at a moment; None while its block is open, or holds nothing.

        After a counter fell (the replica restarted) or its edges changed, blocks begin anew from there: what
        was counted in between is not known to be of any time.
        """
        try:
            new = cumulative(buckets, total)
        except ValueError as refused:
            self.dropped[str(refused)] += 1
            return None
        last = self._last
        if not math.isfinite(at) or (last is not None and at <= last[0]):
            self.dropped[CLOCK] += 1
            return None
        self._last = at, new
        if self._base is None or last is None:
            self._base = at, new
            return None
        if why := _broken(last[1], new) or (TOO_LONG if at - last[0] > LONGEST_SECONDS else None):
            self.dropped[why] += 1
            self._base = at, new
            return None
        start, base = self._base
        if at - start < BLOCK_SECONDS:
            return None
        self._base = at, new
        return self._block(start, at, base, new)

    def _block(self, start: float, end: float, base: Cumulative, new: Cumulative) -> HistogramBlock | None:
        grown = in_buckets(more - less for less, more in zip(base.counts, new.counts, strict=True))
        if not sum(grown) or min(grown) < 0:
            return None
        return HistogramBlock(*self._of, start, end - start, new.edges, grown, new.total - base.total)


def _broken(before: Cumulative, after: Cumulative) -> str | None:
    """Why the one does not follow from the other; None where it does."""
    if before.edges != after.edges:
        return OTHER_EDGES
    grown = in_buckets(b - a for a, b in zip(before.counts, after.counts, strict=True))
    return RESET if after.total < before.total or min(grown) < 0 else None
