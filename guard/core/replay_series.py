"""What was measured in a recorded rollout over time, an arm at a time: figures beside a decision's evidence.

Owns the bins. A value stands where it became known. Two sources are never mixed: the one that saw the most
of the canary speaks. Unlike a decision this looks at the whole recording.
"""

from dataclasses import dataclass

import numpy as np

from guard.core.observations import BAD, WAITS, Bools, Floats
from guard.core.rollout import RequestLog, Rollout
from guard.core.samples import Arm, Source

_MOST_BINS = 80
_BIN_SECONDS = (10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

Point = tuple[float, float]


@dataclass(frozen=True)
class ArmSeries:
    """(middle of a bin, value) of one arm; bins without any value are left out.

    Attributes:
        failed: Share of the requests that ended in a bin.
        passed: Share of all eval items answered until then.
        requests, bad: Since the beginning of the recording.
    """

    ttft_p50: tuple[Point, ...] = ()
    ttft_p95: tuple[Point, ...] = ()
    itl_p50: tuple[Point, ...] = ()
    failed: tuple[Point, ...] = ()
    passed: tuple[Point, ...] = ()
    requests: int = 0
    bad: int = 0


@dataclass(frozen=True)
class Series:
    """Of one rollout.

    Attributes:
        source: Whose requests are shown; None without any.
        begin, end: What the plots span.
    """

    source: Source | None
    begin: float
    end: float
    bin_seconds: float
    arms: dict[Arm, ArmSeries]


def series(rollout: Rollout) -> Series:
    """The series of both arms."""
    begin = min(rollout.baseline_from_seconds, rollout.steps[0].start_seconds)
    span = rollout.end_seconds - begin
    width = next((w for w in _BIN_SECONDS if span / w <= _MOST_BINS), span / _MOST_BINS)
    bins = _Bins(begin, rollout.end_seconds, width)
    source = max(rollout.requests, key=lambda s: _weight(rollout.requests[s]), default=None)
    log = rollout.requests[source] if source else None
    return Series(source, begin, rollout.end_seconds, width, {a: _arm(rollout, log, a, bins) for a in Arm})


def _weight(log: RequestLog) -> tuple[int, int]:
    return int(log.canary.sum()), len(log)


class _Bins:
    """Equal bins over the recording."""

    def __init__(self, begin: float, end: float, width: float) -> None:
        self._begin, self._end, self._width = begin, end, width

    def quantile(self, at: Floats, values: Floats, q: float) -> tuple[Point, ...]:
        """Of the values in each bin; what is not known is left out."""
        keep = np.isfinite(at) & np.isfinite(values) & (at >= self._begin) & (at <= self._end)
        index = ((at[keep] - self._begin) // self._width).astype(np.int64)
        order = np.argsort(index, kind="stable")
        edges, first = np.unique(index[order], return_index=True)
        parts = np.split(values[keep][order], first[1:])
        return tuple(
            (self._middle(int(b)), float(np.quantile(part, q))) for b, part in zip(edges, parts, strict=False)
        )

    def mean(self, at: Floats, values: Bools) -> tuple[Point, ...]:
        keep = np.isfinite(at) & (at >= self._begin) & (at <= self._end)
        index = ((at[keep] - self._begin) // self._width).astype(np.int64)
        total, bad = np.bincount(index), np.bincount(index, values[keep])
        return tuple((self._middle(int(b)), float(bad[b] / total[b])) for b in np.flatnonzero(total))

    def _middle(self, index: int) -> float:
        return min(self._end, self._begin + (index + 0.5) * self._width)


def _arm(rollout: Rollout, log: RequestLog | None, arm: Arm, bins: _Bins) -> ArmSeries:
    passed = _passed(rollout, arm)
    if log is None:
        return ArmSeries(passed=passed)
    mine = log.canary == (arm is Arm.CANARY)
    first, ended = log.first_token[mine], log.finished[mine]
    ttft, outcome = first - log.started[mine], log.outcome[mine]
    return ArmSeries(
        ttft_p50=bins.quantile(first, ttft, 0.5),
        ttft_p95=bins.quantile(first, ttft, 0.95),
        itl_p50=bins.quantile(ended, log.itl_mean[mine], 0.5),
        failed=bins.mean(np.where(outcome == WAITS, np.nan, ended), outcome >= BAD),
        passed=passed,
        requests=int(mine.sum()),
        bad=int((outcome >= BAD).sum()),
    )


def _passed(rollout: Rollout, arm: Arm) -> tuple[Point, ...]:
    """Share of items passed so far; a hundred points at most."""
    log = rollout.evals
    values = log.canary_pass if arm is Arm.CANARY else log.baseline_pass
    share = np.cumsum(values) / np.arange(1, len(values) + 1)
    step = max(1, len(values) // 100)
    rows = zip(log.answered_at[::step].tolist(), share[::step].tolist(), strict=True)
    return tuple(row for row in rows if row[0] <= rollout.end_seconds)
