"""The same rollout as vLLM's /metrics would tell it: per-replica differences of counters and histograms.

Owns the rows of blocks.parquet: for each replica and stretch of time the requests that ended, those of them
that were bad, and what the histograms of TTFT and ITL grew by. As in Prometheus a bucket counts all values
up to `le`; the row with `le` infinite has the sum. A block is known at its end. A request's gaps between
tokens all count as its mean gap, and when it ends, which smooths vLLM's histogram of single gaps.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.prometheus import TTFT_EDGES
from benchmarks.decisions.rollout import OK, Bools, Floats, Ints, Rollout

# vLLM 0.32's edges of inter_token_latency_seconds.
ITL_EDGES = np.append(
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    [20.0, 40.0, 80.0],
)


@dataclass(frozen=True)
class Blocks:
    """Rows in columns, in no order; `le` and `sum` are nan where they mean nothing."""

    replica: Ints
    start: Floats
    signal: list[str]
    le: Floats
    count: Ints
    sum: Floats


@dataclass(frozen=True)
class _Grid:
    """Blocks of one length, from the baseline's history to the end."""

    start: float
    seconds: float
    blocks: int
    replicas: int

    def cells(self, at: Floats, replica: Ints) -> tuple[Ints, Bools]:
        """Number of each value's (replica, block), and whether it falls into one; a block has its end."""
        block = np.ceil((np.nan_to_num(at, nan=-np.inf) - self.start) / self.seconds) - 1
        inside = (block >= 0) & (block < self.blocks)
        return replica * self.blocks + np.where(inside, block, 0).astype(np.int64), inside

    @property
    def size(self) -> int:
        return self.blocks * self.replicas


def blocks(rollout: Rollout, seconds: float = 15.0) -> Blocks:
    """All blocks in which something was counted."""
    requests, start = rollout.requests, rollout.baseline_from_seconds
    grid = _Grid(start, seconds, int((rollout.end_seconds - start) // seconds), len(rollout.replicas))
    replica = requests.replica.astype(np.int64)
    ended, in_time = grid.cells(requests.finished_at, replica)
    bad = requests.outcome != OK
    gaps = np.where(bad, 0, requests.output_tokens - 1)
    first, begun = grid.cells(requests.first_token_at, replica)
    ttft = requests.first_token_at - requests.sent_at
    itl = np.nan_to_num(requests.itl_mean)
    parts = [
        _counter(grid, "requests", ended[in_time]),
        _counter(grid, "errors", ended[in_time & bad]),
        _histogram(grid, "ttft", TTFT_EDGES, first[begun], ttft[begun], np.ones(int(begun.sum()))),
        _histogram(grid, "itl", ITL_EDGES, ended[in_time], itl[in_time], gaps[in_time]),
    ]
    return Blocks(
        np.concatenate([p.replica for p in parts]),
        np.concatenate([p.start for p in parts]),
        [signal for p in parts for signal in p.signal],
        np.concatenate([p.le for p in parts]),
        np.concatenate([p.count for p in parts]),
        np.concatenate([p.sum for p in parts]),
    )


def _counter(grid: _Grid, signal: str, cells: Ints) -> Blocks:
    counts = np.bincount(cells, minlength=grid.size)
    seen = np.flatnonzero(counts)
    none = np.full(len(seen), np.nan)
    return _rows(grid, seen, signal, none, counts[seen], none)


def _histogram(
    grid: _Grid, signal: str, edges: Floats, cells: Ints, values: Floats, weights: Floats
) -> Blocks:
    """Cumulative over the buckets, the last of which is infinite."""
    bounds = np.append(edges, np.inf)
    bucket = np.searchsorted(bounds, values, side="left")
    counts = np.bincount(cells * len(bounds) + bucket, weights, grid.size * len(bounds))
    counts = np.cumsum(counts.reshape(grid.size, len(bounds)), axis=1)
    sums = np.full(counts.shape, np.nan)
    sums[:, -1] = np.bincount(cells, weights * values, grid.size)
    seen = np.flatnonzero(counts[:, -1])
    return _rows(
        grid,
        np.repeat(seen, len(bounds)),
        signal,
        np.tile(bounds, len(seen)),
        counts[seen].ravel().astype(np.int64),
        sums[seen].ravel(),
    )


def _rows(grid: _Grid, cells: Ints, signal: str, le: Floats, count: Ints, total: Floats) -> Blocks:
    replica, block = np.divmod(cells, grid.blocks)
    return Blocks(replica, grid.start + block * grid.seconds, [signal] * len(cells), le, count, total)
