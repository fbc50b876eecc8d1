"""When scheduled suites are due: cron in UTC, at most the last missed time, never two at once on one target.

Pure: `now` is an argument, and what ran last is handed in. Refuses to know suites, Guards and processes.

Cron is read by `cronsim` (Debian's cron, five fields). Times are UTC, as in a CronJob without a time zone: a
schedule that moves with daylight saving would run twice, or not at all, on two nights of the year.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

# A load that was planned for the night must not run at noon, because a Change or an outage was in its way.
# Arbitrary: an hour is late for a probe and early for a working day.
LATEST_SECONDS = 3600.0
KEPT = 10  # runs, and as many again of those that did not pass: a night of passes must not bury a failure
_GAPS = 64  # enough to find the longest gap of schedules that skip nights and weekends
EXAMPLE = "*/15 * * * *"


@dataclass(frozen=True)
class Line:
    """One line of a schedule. Lines of one target never run at the same time."""

    key: str
    target: str
    cron: str


@dataclass(frozen=True)
class Due:
    """A line that is to start now, for the time `at` (Unix seconds)."""

    line: Line
    at: float


def check_cron(text: str) -> None:
    """Raises ValueError, with an example, when it is not five fields of cron, or names no day that exists."""
    try:
        if len(text.split()) != 5:
            raise ValueError("it has not five fields")
        if next(CronSim(text, datetime(2000, 1, 1, tzinfo=UTC)), None) is None:
            raise ValueError("it never comes")
    except (CronSimError, ValueError) as error:
        why = str(error) or "it does not parse"
        raise ValueError(
            f"expected a cron of five fields in UTC such as {EXAMPLE!r} (every 15 minutes): {why}"
        ) from error


def latest_due(cron: str, after: float, now: float) -> float | None:
    """The last time of the schedule in (after, now], in Unix seconds; None when there is none.

    Whatever was missed before it is not made up for.
    """
    # One second on, because the reverse search begins before its start.
    start = datetime.fromtimestamp(int(now) + 1, UTC)
    found = next(CronSim(cron, start, reverse=True), None)
    at = found.timestamp() if found else None
    return at if at is not None and at > after else None


def due(lines: Iterable[Line], since: Mapping[str, float], busy: Collection[str], now: float) -> list[Due]:
    """Lines to start now, at most one a target: the one that ran longest ago, so that none starves another.

    Args:
        lines: In order of preference where two ran for the same time.
        since: By key, the time for which the line last ran, or since when it is watched. A line that is
            not in it is not due: nobody knows yet what it has done.
        busy: Targets that something runs on.
    """
    taken, found = set(busy), []
    for line in sorted((line for line in lines if line.key in since), key=lambda line: since[line.key]):
        if line.target in taken:
            continue
        at = latest_due(line.cron, max(since[line.key], now - LATEST_SECONDS), now)
        if at is not None:
            taken.add(line.target)
            found.append(Due(line, at))
    return found


def longest_gap_seconds(cron: str, now: float) -> float:
    """The longest time between two runs of the schedule, of the next 64: a result older than that is late."""
    times = islice(CronSim(cron, datetime.fromtimestamp(now, UTC)), _GAPS)
    return max(((b - a).total_seconds() for a, b in pairwise(times)), default=0.0)


def superseded(passed: Mapping[str, bool]) -> list[str]:
    """Runs that need not be kept any more.

    Args:
        passed: Every finished run by name, oldest first.
    """
    newest_first = list(passed)[::-1]
    older = newest_first[KEPT:]
    failures = [name for name in older if not passed[name]][:KEPT]
    return [name for name in older if name not in failures]
