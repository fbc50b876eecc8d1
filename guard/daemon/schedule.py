"""A Guard's schedule in the daemon: which suites are due, which run, and what they came to.

Owns the lines of all Guards, one run a target at a time, and ending a run when a Change begins. Everything
that takes time happens in the runs themselves; a tick only asks. Refuses to know processes and the API.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from guard.api.guard import GuardSpec, Scheduled
from guard.core.schedule import Line, due, longest_gap_seconds
from guard.core.suite_outcome import SuiteOutcome

CHANGE_BEGAN = "a Change of this target began"
_GAP_HOLDS_SECONDS = 86400.0  # it is asked for at every tick, and costs milliseconds
NOT_LEADING = "this guard does not lead any more"


@dataclass(frozen=True)
class Job:
    """A line that is to run now. `turn` counts up for a target, so that its pods take turns."""

    guard: str
    spec: GuardSpec
    scheduled: Scheduled
    at: float
    turn: int


@dataclass(frozen=True)
class Ended:
    """A suite of a schedule that has ended, with the name of its SuiteRun and where its evidence is."""

    guard: str
    outcome: SuiteOutcome
    at: float
    suite_run: str
    evidence: str | None = None


class Run(Protocol):
    """A line under way, in a thread of its own."""

    @property
    def done(self) -> bool: ...
    def take(self) -> list[Ended]: ...
    def stop(self, why: str) -> None: ...


@dataclass(frozen=True)
class Last:
    """What is recorded of a Guard's suite: for which line's cron it ran, and for which time."""

    guard: str
    suite: str
    cron: str
    scheduled_at: float


@dataclass
class Schedule:
    """Call `tick` about once a second while leading, `drop` when not."""

    start: Callable[[Job], Run]
    _since: dict[str, float] = field(default_factory=dict)
    _watched: dict[tuple[str, str], float] = field(default_factory=dict)
    _runs: dict[str, Run] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _recorded: list[Last] | None = None

    @property
    def restored(self) -> bool:
        return self._recorded is not None

    def restore(self, recorded: Iterable[Last]) -> None:
        """What earlier guards ran. Until this is known nothing is due: it may have run just now."""
        self._recorded = list(recorded)

    def tick(self, guards: Mapping[str, GuardSpec], changing: Collection[str], now: float) -> list[Ended]:
        """Starts what is due, ends what must not run, and gives back what has ended.

        Args:
            changing: Targets (names of stable workloads) that an unfinished Change stands on.
        """
        ended = [result for run in self._runs.values() for result in run.take()]
        ended += self._end_runs(changing)
        jobs = {_key(name, entry): (name, entry) for name, spec in guards.items() for entry in _entries(spec)}
        self._watch(jobs, now)
        lines = [Line(key, target_of(guards[name]), entry.cron) for key, (name, entry) in jobs.items()]
        for found in due(lines, self._since, {*changing, *self._runs}, now):
            self._since[found.line.key] = found.at
            name, entry = jobs[found.line.key]
            turn = self._turns[found.line.target] = self._turns.get(found.line.target, -1) + 1
            self._runs[found.line.target] = self.start(Job(name, guards[name], entry, found.at, turn))
        return ended

    def drop(self) -> None:
        """Another guard leads: ends what runs and forgets everything."""
        for run in self._runs.values():
            run.stop(NOT_LEADING)
        self._runs.clear()
        self._since.clear()
        self._watched.clear()
        self._recorded = None

    def expected(self, guard: str, spec: GuardSpec, now: float) -> dict[str, tuple[float, float]]:
        """By suite: the longest time between two runs in seconds, and since when runs are expected."""
        found: dict[str, tuple[float, float]] = {}
        for entry in _entries(spec):
            gap = _longest_gap_seconds(entry.cron, now // _GAP_HOLDS_SECONDS)
            for suite in entry.suites:
                since = self._watched.setdefault((guard, suite.name), now)
                shortest = min(gap, found.get(suite.name, (gap, since))[0])
                found[suite.name] = (shortest, since)
        return found

    def _end_runs(self, changing: Collection[str]) -> list[Ended]:
        """What runs on a target that changes is asked to end; what has ended gives its target back."""
        for target in [target for target in self._runs if target in changing]:
            self._runs[target].stop(CHANGE_BEGAN)
        over = [target for target, run in self._runs.items() if run.done]
        return [result for target in over for result in self._runs.pop(target).take()]

    def _watch(self, jobs: Mapping[str, tuple[str, Scheduled]], now: float) -> None:
        """A new line counts from its last recorded run, else from now; one that is gone is forgotten."""
        if self._recorded is None:
            return
        for key in self._since.keys() - jobs.keys():
            del self._since[key]
        for key, (guard, entry) in jobs.items():
            if key not in self._since:
                names = {suite.name for suite in entry.suites}
                before = [
                    last.scheduled_at
                    for last in self._recorded
                    if (last.guard, last.cron) == (guard, entry.cron) and last.suite in names
                ]
                self._since[key] = max(before, default=now)
            # A clock that was ahead when a run was recorded must not keep its line from running till then.
            self._since[key] = min(self._since[key], now)


def target_of(spec: GuardSpec) -> str:
    """What two runs must not share: the stable workload."""
    return spec.target.stable.workload.name


@lru_cache(256)
def _longest_gap_seconds(cron: str, day: float) -> float:
    return longest_gap_seconds(cron, day * _GAP_HOLDS_SECONDS)


def _entries(spec: GuardSpec) -> tuple[Scheduled, ...]:
    return spec.suites.schedule


def _key(guard: str, entry: Scheduled) -> str:
    return "\0".join((guard, entry.cron, *(suite.name for suite in entry.suites)))
