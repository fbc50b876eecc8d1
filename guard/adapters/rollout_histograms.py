"""Rows of blocks.parquet that are a replica's latency histogram, read and written: one row a bucket.

Owns these rows: `signal` ttft or itl, `le` the bucket's upper edge, `count` the values up to it, and `sum` in
the row with `le` infinite. What cannot be a histogram is dropped and counted by reason. Refuses to judge.
"""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np

from guard.adapters.rollout_tables import Table, Words
from guard.core.histogram_blocks import HistogramBlock, cumulative, in_buckets
from guard.core.histogram_evidence import SIGNALS
from guard.core.observations import Bools, Floats
from guard.core.samples import Arm, Source

_ARMS, _SOURCES = tuple(map(str, Arm)), tuple(map(str, Source))
_NO_TIME = "histograms: start or seconds not finite, or of no length"
_NO_SUM = "histograms: no sum"


def is_histogram(signal: Words, le: Floats) -> Bools:
    """Which rows are buckets: of a latency, with an upper edge."""
    known = np.array([*(name in SIGNALS for name in signal.names), False])
    found: Bools = known[signal.codes] & ~np.isnan(le)
    return found


def read_histograms(table: Table, dropped: Counter[str]) -> tuple[HistogramBlock, ...]:
    """Every whole histogram of a replica and block, in the order in which they became known."""
    table.require("arm", "start", "seconds", "signal", "count")
    arm, signal = table.words("arm", _ARMS, required=True), table.words("signal", required=True)
    source, replica = table.words("source", _SOURCES), table.words("replica")
    start, seconds, le, count, total = map(table.numbers, ("start", "seconds", "le", "count", "sum"))
    rows = np.flatnonzero(is_histogram(signal, le))
    timed = np.isfinite(start[rows]) & np.isfinite(seconds[rows]) & (seconds[rows] > 0)
    dropped[_NO_TIME] += int((~timed).sum())
    rows = rows[timed]
    codes = (source.codes, arm.codes, replica.codes, signal.codes)
    keys = np.array([*(column[rows] for column in codes), start[rows], seconds[rows]])
    order = np.lexsort((le[rows], *keys))
    changes = np.flatnonzero((np.diff(keys[:, order], axis=1) != 0).any(axis=0)) + 1
    names = [("", *column.names) for column in (source, arm, replica, signal)]
    found = []
    for group in np.split(rows[order], changes) if len(rows) else ():
        first = group[0]
        words = [words[column[first] + 1] for words, column in zip(names, codes, strict=True)]
        block = _block(words, start[first], seconds[first], le[group], count[group], total[group], dropped)
        found += [block] if block else []
    return tuple(sorted(found, key=lambda block: (block.end, block.arm, block.replica, block.signal)))


def _block(
    words: list[str], start: float, seconds: float, le: Any, count: Any, total: Any, dropped: Counter[str]
) -> HistogramBlock | None:
    source, arm, replica, signal = words
    if np.isinf(le[-1]) and np.isnan(total[-1]):
        dropped[_NO_SUM] += len(le)
        return None
    rows = list(zip(le.tolist(), count.tolist(), strict=True))
    try:
        read = cumulative(dict.fromkeys(rows), float(total[-1]) if np.isinf(le[-1]) else 0.0)
    except ValueError as refused:
        dropped[f"histograms: {refused}"] += len(le)
        return None
    counts = in_buckets(read.counts)
    kind: Any = signal
    whose = Source(source or Source.USER), Arm(arm), replica, kind
    return HistogramBlock(*whose, float(start), float(seconds), read.edges, counts, read.total)


def histogram_rows(block: HistogramBlock, shift_seconds: float) -> Iterator[tuple[Any, ...]]:
    """A row for each bucket, in the order of `rollout_record`'s columns."""
    place = (str(block.source), str(block.arm), block.replica, block.start + shift_seconds, block.seconds)
    buckets = zip((*block.edges, math.inf), accumulate(block.counts), strict=True)
    for le, count in buckets:
        yield (*place, block.signal, le, count, block.total if le == math.inf else None)
