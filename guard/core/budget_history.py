"""How many probes of one objective were good and bad, by time, for as long as an error budget is judged by.

Owns buckets: a minute each in the last six hours, half an hour each up to three days, whatever the schedule
asks; never the requests. Owns how many runs a window needs to say anything. Refuses to judge.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from guard.core.burn_rate import DAY, HOUR, MINUTE, BurnAlert
from guard.core.comparison import ArmCounts

KEPT_SECONDS = 3 * DAY  # the longest window of the table
_FINE_SECONDS, _COARSE_SECONDS = MINUTE, 30 * MINUTE
_FINE_FOR_SECONDS = 6 * HOUR  # the longest window whose length a half hour would change by more than 1 %
# Arbitrary: with less than half of what was planned, the window tells more of our own silence than of users.
_NEEDED_RATIO = 0.5
# The requests of one run fail together: a long window is not judged by one.
_LONG_RUNS = 2


@dataclass(frozen=True)
class RunCounts(ArmCounts):
    """Bad probes, all probes, the runs that they are of, and how many of those had a bad one."""

    runs: int = 0
    bad_runs: int = 0

    def __add__(self, other: "RunCounts") -> "RunCounts":
        return RunCounts(*(a + b for a, b in zip(self.row, other.row, strict=True)))

    @property
    def row(self) -> tuple[int, int, int, int]:
        return self.bad, self.total, self.runs, self.bad_runs


class BudgetHistory:
    """Feed what each run came to; ask for sums over windows that end now."""

    def __init__(self) -> None:
        self._buckets: dict[int, RunCounts] = {}  # by the bucket's start, Unix seconds

    def __len__(self) -> int:
        return len(self._buckets)

    def add(self, at: float, counts: ArmCounts) -> None:
        """Takes one run that ended at `at`, Unix seconds; one that asked nothing is none."""
        if counts.total > 0:
            self._put(_start(at, _FINE_SECONDS), RunCounts(counts.bad, counts.total, 1, int(counts.bad > 0)))

    def forget(self, now: float) -> None:
        """Widens what is older than six hours, drops what is older than three days or later than now."""
        old, self._buckets = self._buckets, {}
        for start, counts in old.items():
            coarse = _start(start, _COARSE_SECONDS)
            is_old = coarse + _COARSE_SECONDS <= now - _FINE_FOR_SECONDS - _FINE_SECONDS
            place = coarse if is_old else start
            if now - KEPT_SECONDS - _FINE_SECONDS < place <= now:
                self._put(place, counts)

    def counts(self, seconds: float, now: float) -> RunCounts:
        """Sums over the last `seconds`, rounded up to whole minutes; past six hours to half an hour."""
        since = now - seconds - _FINE_SECONDS
        found = [counts.row for start, counts in self._buckets.items() if since < start <= now]
        return RunCounts(*map(sum, zip(*found, strict=True))) if found else RunCounts(0, 0)

    def state(self) -> list[list[int]]:
        """Rows of (start, bad, total, runs, bad runs), oldest first."""
        return [[start, *counts.row] for start, counts in sorted(self._buckets.items())]

    @classmethod
    def from_state(cls, rows: Iterable[Any]) -> Self:
        """Raises ValueError when these are not rows of `state`."""
        self = cls()
        for row in rows:
            if not isinstance(row, list) or len(row) != 5 or not all(type(value) is int for value in row):
                raise ValueError(f"expected [start, bad, total, runs, bad runs], found {row!r}")
            counts = RunCounts(*row[1:])
            if not (0 <= counts.bad_runs <= counts.bad <= counts.total and 0 < counts.runs <= counts.total):
                raise ValueError(f"{counts} cannot be")
            self._put(row[0], counts)
        return self

    def _put(self, start: int, counts: RunCounts) -> None:
        known = self._buckets.get(start)
        self._buckets[start] = counts if known is None else known + counts


def thin_windows(
    counts: Mapping[float, RunCounts], alerts: Sequence[BurnAlert], gaps_seconds: Iterable[float]
) -> set[float]:
    """Windows with too few runs to say anything: fewer than half of those planned, or a long one with one.

    Args:
        counts: By window, in seconds.
        gaps_seconds: Of each suite that counts, the longest time between two of its runs.
    """
    per_second = sum(1 / gap for gap in gaps_seconds if gap > 0)
    least = {alert.short_seconds: 1 for alert in alerts}
    least |= {alert.long_seconds: _LONG_RUNS for alert in alerts}
    needed = {s: max(floor, math.ceil(_NEEDED_RATIO * int(s * per_second))) for s, floor in least.items()}
    return {s for s, runs in needed.items() if s not in counts or counts[s].runs < runs}


def _start(at: float, width: float) -> int:
    return int(at // width * width)
