"""What was counted since a step began: requests and errors per source and arm, requests over objectives.

Owns the step's sums and what objectives say of them at its end. Keeps numbers, never requests. Refuses
to know evidence and hard limits.

An objective is judged once a step (DESIGN 5.9a). A held step is looked at every second, and a test at .001
that is repeated until it fails rejects far more than one good canary in a thousand. Only while there are too
few requests is it asked again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.objectives import ErrorObjective, Objective, counts_over, judge_ratio
from guard.core.observations import Requests, take
from guard.core.samples import Arm, Source

# Users' own requests say most; one comparison takes one source.
_PREFERENCE = (Source.USER, Source.ACCESS_LOG, Source.SIMULATED, Source.LOAD, Source.PROBE)
_Counts = dict[str, list[int]]
Waiting = Sequence[tuple[Source, Requests]]


class StepTally:
    """Sums of one step. Keys are `source/arm`, values [bad or over, total]."""

    def __init__(self, objectives: Sequence[Objective], state: Mapping[str, Any] | None = None) -> None:
        self._objectives = tuple(objectives)
        state = state or {"errors": {}, "over": {}, "judged": {}}
        self._errors: _Counts = {key: list(value) for key, value in state["errors"].items()}
        self._over: dict[str, _Counts] = {name: dict(counts) for name, counts in state["over"].items()}
        self._judged = {name: Check.from_json(check) for name, check in state["judged"].items()}

    def state(self) -> dict[str, Any]:
        judged = {name: check.to_json() for name, check in self._judged.items()}
        return {"errors": self._errors, "over": self._over, "judged": judged}

    def count(self, source: Source, arm: Arm, requests: int, bad: int) -> None:
        _add(self._errors, source, arm, bad, requests)

    def count_latency(self, source: Source, ended: Requests) -> None:
        """Requests that ended, each once, against every latency objective."""
        for objective in self._objectives:
            if not isinstance(objective, ErrorObjective) and len(ended):
                _add_over(self._over.setdefault(objective.name, {}), objective, source, ended)

    def errors(self, source: Source, arm: Arm) -> ArmCounts:
        return _get(self._errors, source, arm)

    def total(self, arm: Arm) -> int:
        """Requests of one arm; what gateway and access log both saw counts once."""
        n = {source: self.errors(source, arm).total for source in Source}
        twice = min(n[Source.USER], n[Source.ACCESS_LOG])
        return sum(n.values()) - twice

    def best_source(self, counts: _Counts | None = None) -> Source | None:
        """The source that says most of those in which the canary was seen."""
        counts = self._errors if counts is None else counts
        return next((s for s in _PREFERENCE if _get(counts, s, Arm.CANARY).total), None)

    def objective_checks(
        self,
        min_requests: int,
        seconds: float | None,
        waiting: Waiting = (),
        now: float = 0.0,
    ) -> list[Check]:
        """Every objective, each on its best source; the answer stands once there were enough requests.

        A quantile of probes needs no more of them than one allowed request over the limit (20 for p95),
        for `min_requests` counts users' requests as well.

        Args:
            seconds: How long the step has been judged: the checks' window.
            waiting: Requests of each source that have not ended at `now`; those over a limit already count.
        """
        return [self._objective_check(o, min_requests, seconds, waiting, now) for o in self._objectives]

    def _objective_check(
        self,
        objective: Objective,
        min_requests: int,
        seconds: float | None,
        waiting: Waiting,
        now: float,
    ) -> Check:
        if objective.name in self._judged:
            return self._judged[objective.name]
        counts = self._counts(objective, waiting, now)
        source = self.best_source(counts) or Source.PROBE
        ours, theirs = _get(counts, source, Arm.CANARY), _get(counts, source, Arm.BASELINE)
        needed = min(min_requests, math.ceil(round(1 / max(objective.limit_ratio, 1e-4), 6)))
        check = judge_ratio(objective, ours, theirs if theirs.total else None, min_requests=needed)
        check = replace(check, window_seconds=seconds)
        if ours.total >= max(1, needed):
            self._judged[objective.name] = check
        return check

    def _counts(self, objective: Objective, waiting: Waiting, now: float) -> _Counts:
        """[bad or over, total] with those that wait."""
        if isinstance(objective, ErrorObjective):
            return self._errors
        counts = {key: list(value) for key, value in self._over.get(objective.name, {}).items()}
        for source, rows in waiting:
            _add_over(counts, objective, source, rows, now)
        return counts


def _key(source: Source, arm: Arm) -> str:
    return f"{source}/{arm}"


def _add_over(
    counts: _Counts, objective: Objective, source: Source, rows: Requests, now: float | None = None
) -> None:
    for arm in Arm:
        found = counts_over(objective, take(rows, rows.canary == (arm is Arm.CANARY)), now)
        if found.total:
            _add(counts, source, arm, found.bad, found.total)


def _add(counts: _Counts, source: Source, arm: Arm, bad: int, total: int) -> None:
    entry = counts.setdefault(_key(source, arm), [0, 0])
    entry[0] += bad
    entry[1] += total


def _get(counts: _Counts, source: Source, arm: Arm) -> ArmCounts:
    return ArmCounts(*counts.get(_key(source, arm), (0, 0)))
