"""What is worth telling of a Change: the events of `notify`, each once.

Pure but for its memory: a Change's progress in, notifications out. Refuses to know who is told.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from guard.adapters.kubernetes.client import Object
from guard.core.change import Phase, Reason
from guard.core.check import Check
from guard.core.notification import ChangeFacts, Notification, Signal
from guard.core.verdict import Verdict
from guard.daemon.change_run import ChangeRun
from guard.daemon.clock import rfc3339
from guard.daemon.progress import Progress
from guard.daemon.recorded_decision import Decision

_AT_STEPS = (Phase.TESTING, Phase.PROGRESSING)
_BY_OPERATOR = "HeldByOperator"
_BY_OTHERS = frozenset({"WeightChanged", "BaselineChanged", "PlanChanged"})


def held(progress: Progress) -> bool:
    """Whether a stage waits for longer than its plan says: for a verdict, an operator, or others' doing."""
    waits = progress.reason.startswith("Held") or progress.reason in _BY_OTHERS
    return progress.phase in _AT_STEPS and waits


class News:
    """Remembers what was told. What happened before `since` was an earlier guard's to tell."""

    def __init__(self, namespace: str, environment: str | None, since: float) -> None:
        self._namespace, self._environment, self._since = namespace, environment, since
        self._told: set[tuple[str, str]] = set()

    def of(self, run: ChangeRun, change: Object, now: float) -> list[Notification]:
        """What is new about a Change after a tick."""
        found = []
        for event, key, at, summary, check in self._events(run.progress, run, now):
            identity = (change["metadata"]["uid"], f"{event} {key}")
            if identity not in self._told:
                self._told.add(identity)
                found.append(self._notification(event, key, at, summary, check, run, change))
        return found

    def forget(self, uids: set[str]) -> None:
        """Keeps what was told of these Changes only."""
        self._told = {(uid, key) for uid, key in self._told if uid in uids}

    def _events(
        self, progress: Progress, run: ChangeRun, now: float
    ) -> Iterator[tuple[str, str, float, str, Check | None]]:
        """(event, key, when, summary, deciding check) of everything that is so now."""
        decision, would = progress.decision, progress.would_have
        if decision and decision.action == "RollBack" and decision.at >= self._since:
            yield "RollingBack", "", decision.at, decision.message, _deciding(decision, run)
        if would and would.action == "RollBack" and would.at >= self._since:
            yield "WouldRollBack", "", would.at, would.message, _deciding(would, run)
        if held(progress) and progress.reason != _BY_OPERATOR:
            key = f"{progress.phase} {progress.step} {progress.reason}"
            yield "Held", key, now, progress.message, _worst(progress.verdict, _checks(run))
        if progress.ended is not None and progress.ended is not Reason.OBSERVED:
            check = _deciding(decision, run) if decision and decision.action == "RollBack" else None
            yield str(progress.ended), "", progress.finished_at or now, progress.message, check

    def _notification(
        self,
        event: str,
        key: str,
        at: float,
        summary: str,
        check: Check | None,
        run: ChangeRun,
        change: Object,
    ) -> Notification:
        name = change["metadata"]["name"]
        return Notification(
            event=event,
            at=rfc3339(at) or "",
            namespace=self._namespace,
            guard=run.guard_name,
            summary=summary,
            command=f"kubectl describe -n {self._namespace} change/{name}",
            key=f"{change['metadata']['uid']} {key}",
            verdict=run.progress.verdict,
            environment=self._environment,
            change=_facts(name, change["spec"], run.progress),
            signal=Signal.of(check) if check else None,
            evidence=run.progress.evidence,
        )


def _facts(name: str, spec: Object, progress: Progress) -> ChangeFacts:
    plan = spec["plan"]
    return ChangeFacts(
        name=name,
        ticket=spec["ticket"],
        risk=spec.get("risk", "R1"),
        requested_by=spec["requestedBy"],
        plan_digest=plan["digest"],
        stable_images=_images(plan["stableTemplate"]),
        canary_images=_images(plan["canaryTemplate"]),
        phase=str(progress.phase),
        weight_percent=progress.weight_percent,
    )


def _images(template: Any) -> tuple[str, ...]:
    containers = (template.get("spec") or {}).get("containers") or []
    return tuple(str(container["image"]) for container in containers if container.get("image"))


def _checks(run: ChangeRun) -> list[Check]:
    """The newest live checks first, then the suites' from the last one back."""
    live = list(run.live_checks[-1][1]) if run.live_checks else []
    return live + [check for _, result in reversed(run.results) for check in result.checks]


def _deciding(decision: Decision, run: ChangeRun) -> Check | None:
    found = [check for check in _checks(run) if check.verdict is Verdict.FAIL]
    return next((check for check in found if (check.signal or check.name) == decision.signal), None)


def _worst(verdict: Verdict | None, checks: Sequence[Check]) -> Check | None:
    bad = verdict is not None and verdict is not Verdict.PASS
    return next((check for check in checks if bad and check.verdict is verdict), None)
