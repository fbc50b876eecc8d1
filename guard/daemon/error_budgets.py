"""The Guards' error budgets: what scheduled probes came to, how fast it spends them, and what of it is news.

Each objective of a Guard that a scheduled suite says something of has a budget: the share of requests that it
lets be bad. Owns when budgets are judged, the condition `ErrorBudgetBurning`, and what was told. Refuses to
know the table of windows (guard.core.burn_rate) and who is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from guard.adapters.budget_metrics import BudgetState
from guard.adapters.kubernetes.client import Object
from guard.api.guard import GuardSpec
from guard.api.suites import to_core
from guard.core.budget_history import BudgetHistory, thin_windows
from guard.core.burn_rate import MINUTE, alerts_for, in_words, judge_budget
from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.objectives import ErrorObjective, Objective
from guard.core.probe_counts import budget_key, feeds
from guard.core.verdict import Verdict, combine
from guard.daemon.budget_store import BudgetStore, Remembered
from guard.daemon.clock import rfc3339

CONDITION = "ErrorBudgetBurning"
BURNING, RECOVERED = "ErrorBudgetBurning", "ErrorBudgetRecovered"
_JUDGED_EVERY_SECONDS = MINUTE  # besides after each run: windows move on without one
# A run ends some time after its cron's minute; a window of the very gap would be empty until then.
_SLACK_RATIO, _SLACK_SECONDS = 0.1, MINUTE
_STATUS = {Verdict.FAIL: "True", Verdict.PASS: "False"}
_REASONS = {"page": "BurnsFast", "ticket": "BurnsSlowly"}


@dataclass(frozen=True)
class BudgetNews:
    """A budget that burns now, otherwise than what was told before, or does not any more."""

    guard: str
    event: str
    check: Check
    at: float

    @property
    def summary(self) -> str:
        """`errors: ...`, every window with its rate."""
        return f"{self.check.signal}: {in_words(self.check)}"


@dataclass
class _Guard:
    """What is known of one Guard. `status`, `since`: of its condition, as it was last said."""

    uid: str
    remembered: Remembered
    judged_at: float | None = None
    checks: tuple[tuple[Objective, Check], ...] = ()
    status: str | None = None
    since: str | None = None


class ErrorBudgets:
    """Those of one namespace; `drop` while another guard leads."""

    def __init__(self, namespace: str, artifacts: Path) -> None:
        self._store = BudgetStore(namespace, artifacts)
        self._guards: dict[str, _Guard] = {}

    def take(self, guard: Object, counted: Mapping[str, ArmCounts], at: float) -> None:
        """What a scheduled suite of this Guard came to; nothing, where our own instrument was at fault."""
        if not counted:
            return
        known = self._known(guard)
        histories = known.remembered.histories
        for key, counts in counted.items():
            histories.setdefault(key, BudgetHistory()).add(at, counts)
        for key, history in list(histories.items()):
            history.forget(at)
            if not history:  # of an objective that the Guard has no more
                del histories[key]
        self._store.save(guard["metadata"]["name"], known.uid, known.remembered)
        known.judged_at = None

    def judge(
        self,
        guards: Mapping[str, tuple[Object, GuardSpec]],
        gaps: Mapping[str, Mapping[str, float]],
        now: float,
    ) -> Iterator[BudgetNews]:
        """What is news, after each run and once a minute.

        Args:
            gaps: By Guard and scheduled suite, the longest time between two runs in seconds.
        """
        self._guards = {name: known for name, known in self._guards.items() if name in guards}
        for name, (guard, spec) in guards.items():
            mine = gaps.get(name) or {}
            budgets = {o: [gap for s, gap in mine.items() if feeds(s, o)] for o in _objectives(spec)}
            fed = {objective: found for objective, found in budgets.items() if max(found, default=0.0) > 0}
            if not fed:
                self._guards.pop(name, None)
                continue
            known = self._known(guard)
            if known.judged_at is None or not 0 <= now - known.judged_at < _JUDGED_EVERY_SECONDS:
                known.judged_at = now
                known.checks = tuple((o, _judged(o, known.remembered, g, now)) for o, g in fed.items())
                yield from self._news(name, known, now)

    def states(self) -> Iterator[BudgetState]:
        """What the metrics show."""
        for name, known in self._guards.items():
            for objective, check in known.checks:
                yield BudgetState(name, objective.name, objective.limit_ratio, check.detail.get("alerts", ()))

    def condition(self, guard: Object, now: float) -> Mapping[str, Any] | None:
        """`ErrorBudgetBurning`: True, False, or Unknown where too few runs tell; None without a budget."""
        known = self._guards.get(guard["metadata"]["name"])
        if known is None or not known.checks:
            return None
        verdict = combine(check.verdict for _, check in known.checks)
        status = _STATUS.get(verdict, "Unknown")
        if status != known.status:
            earlier = _earlier(guard, status) if known.status is None else None
            known.status, known.since = status, earlier or rfc3339(now)
        return {
            "type": CONDITION,
            "status": status,
            "reason": _reason(verdict, [check for _, check in known.checks]),
            "message": "; ".join(f"{o.name}: {in_words(check)}" for o, check in known.checks),
            "observedGeneration": guard["metadata"].get("generation"),
            "lastTransitionTime": known.since,
        }

    def drop(self) -> None:
        """Another guard leads, and writes."""
        self._guards.clear()

    def _known(self, guard: Object) -> _Guard:
        name, uid = guard["metadata"]["name"], guard["metadata"]["uid"]
        known = self._guards.get(name)
        if known is None or known.uid != uid:
            known = self._guards[name] = _Guard(uid, self._store.load(name, uid))
        return known

    def _news(self, name: str, known: _Guard, now: float) -> Iterator[BudgetNews]:
        told, names = known.remembered.told, {objective.name for objective, _ in known.checks}
        before = dict(told)
        for gone in told.keys() - names:
            del told[gone]
        for objective, check in known.checks:
            severity = _severity(check)
            if severity and told.get(objective.name) != severity:
                told[objective.name] = severity
                yield BudgetNews(name, BURNING, check, now)
            elif check.verdict is Verdict.PASS and not check.undecided and told.pop(objective.name, ""):
                yield BudgetNews(name, RECOVERED, check, now)
        if told != before:
            self._store.save(name, known.uid, known.remembered)


def _objectives(spec: GuardSpec) -> list[Objective]:
    """One of a name: of several the strictest, so that no two budgets are shown as one."""
    laxest_first = sorted(map(to_core, spec.objectives), key=_laxity, reverse=True)
    found = {objective.name: objective for objective in laxest_first}
    return [objective for _, objective in sorted(found.items()) if 0 < objective.limit_ratio < 1]


def _laxity(objective: Objective) -> float:
    return objective.limit_ratio if isinstance(objective, ErrorObjective) else objective.limit_seconds


def _judged(objective: Objective, remembered: Remembered, gaps: Sequence[float], now: float) -> Check:
    alerts = alerts_for((1 + _SLACK_RATIO) * min(gaps) + _SLACK_SECONDS)
    history = remembered.histories.get(budget_key(objective), BudgetHistory())
    windows = {seconds for alert in alerts for seconds in (alert.long_seconds, alert.short_seconds)}
    counts = {seconds: history.counts(seconds, now) for seconds in windows}
    thin = thin_windows(counts, alerts, gaps)
    lone = {seconds for seconds, found in counts.items() if found.bad_runs == 1}
    check = judge_budget(counts, 1 - objective.limit_ratio, alerts, thin, lone)
    return replace(check, signal=objective.name)


def _severity(check: Check) -> str | None:
    """Of the most urgent alert that fires."""
    return str(check.detail["severity"]) if check.verdict is Verdict.FAIL else None


def _reason(verdict: Verdict, checks: Sequence[Check]) -> str:
    found = {_severity(check) for check in checks}
    urgent = next((reason for severity, reason in _REASONS.items() if severity in found), None)
    return urgent or ("NotBurning" if verdict is Verdict.PASS else "TooFewRuns")


def _earlier(guard: Object, status: str) -> str | None:
    """Since when the condition is what an earlier guard has said of it already."""
    conditions = (guard.get("status") or {}).get("conditions") or []
    same = (c for c in conditions if c["type"] == CONDITION and c["status"] == status)
    return next((c["lastTransitionTime"] for c in same), None)
