"""What a reader is told of a finished Change: a `Report` of its progress, its plan and what was measured.

Owns the words and the order of sections: suites before traffic, each step's suites and live judgement, suites
after a rollback. Refuses to write files (`record`) and to judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guard import __version__
from guard.api.change import ChangeSpec
from guard.core.blocks import CounterBlock
from guard.core.change import Reason, settled
from guard.core.check import Check, SuiteResult
from guard.core.evidence import (
    Deciding,
    Event,
    FieldDifference,
    LastKnownGood,
    Report,
    Rollback,
    Section,
    UserImpact,
    fingerprint_differences,
)
from guard.core.fingerprint import Fingerprint, confounders
from guard.core.samples import Arm
from guard.core.series import TrafficBin, WeightPoint, points
from guard.core.verdict import Verdict, combine
from guard.daemon.clock import rfc3339
from guard.daemon.progress import Progress
from guard.daemon.recorded_decision import Decision
from guard.daemon.rollback import AFTER_ROLLBACK
from guard.daemon.templates import template_differences

if TYPE_CHECKING:
    from guard.daemon.change_run import ChangeRun

BIN_SECONDS = 5.0
_BY_AN_OPERATOR = frozenset({"RequestedByOperator", "Closed"})
_WOULD_HAVE = {"RollBack": "rolled back", "Promote": "promoted"}
_LAST = 10**6  # after every step


@dataclass(frozen=True)
class Judged:
    """What the live rule said of a step when it ended; `step` counts from 0, `at` is Unix seconds."""

    step: int
    at: float
    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step, "at": self.at, "checks": [check.to_json() for check in self.checks]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Judged":
        return cls(row["step"], row["at"], tuple(Check.from_json(check) for check in row["checks"]))


@dataclass(frozen=True)
class Recorded:
    """What was kept while the Change ran, by this guard and by those before it.

    `keyless`: why the guard that sealed it had no key of the runtime's; None where it had all it needed.
    """

    suites: Sequence[tuple[str, SuiteResult]]
    judged: Sequence[Judged]
    weights: Sequence[WeightPoint]
    fingerprints: Mapping[Arm, Fingerprint]
    last_known_good: Mapping[str, Any] | None
    keyless: str | None = None


def change_report(run: "ChangeRun", name: str, spec: ChangeSpec, recorded: Recorded) -> Report:
    """Everything but the checksums, which are known when the evidence is sealed."""
    progress, guard = run.progress, spec.plan.guard
    decision = progress.decision or progress.would_have
    sections = _sections(recorded, progress, run.guard_steps)
    return Report(
        kind="change",
        title=f"Change {name}: {guard.target.canary.workload.name} of guard {spec.guard}",
        verdict=_verdict(progress, sections),
        reason=progress.message,
        started_at=progress.opened_at,
        finished_at=progress.finished_at or progress.opened_at,
        tidegate=__version__,
        candidate=f"Deployment {guard.target.canary.workload.name}",
        baseline=f"Deployment {guard.target.stable.workload.name}",
        model=guard.target.runtime.models[0],
        policy=guard.promotion.policy,
        action=str(progress.ended),
        outcome=_outcome(progress, sections),
        would_have=progress.would_have_done,
        ticket=spec.ticket,
        requested_by=spec.requested_by,
        risk=spec.risk,
        plan_digest=spec.plan.digest,
        approval=_approval(spec.risk),
        last_known_good=_last_known_good(recorded.last_known_good),
        sections=sections,
        changed=(
            *template_differences(spec.plan.stable_template, spec.plan.canary_template),
            *_fingerprint_differences(recorded.fingerprints),
        ),
        deciding=Deciding(decision.at, decision.signal or "steps", decision.message) if decision else None,
        rollback=_rollback(progress, progress.decision),
        users=_users(run.analysis.blocks),
        timeline=tuple(Event(e.at, e.kind, e.message) for e in progress.timeline),
        notes=_notes(progress, guard.enforcement, recorded.keyless),
        weights=tuple(recorded.weights),
        requests=points(run.analysis.samples, run.clock_offset),
        traffic=tuple(_traffic(run.analysis.blocks, run.clock_offset)),
    )


def _sections(recorded: Recorded, progress: Progress, weights: Sequence[int]) -> tuple[Section, ...]:
    found: list[tuple[int, Section]] = []
    for stage, result in recorded.suites:
        step = int(stage.removeprefix("step-")) if stage.startswith("step-") else None
        weight = weights[step - 1] if step else None
        found.append((_order(stage), Section.of(result, step=step, weight_percent=weight, stage=stage)))
    for judged in recorded.judged:
        if judged.step >= 0:
            section = Section(
                name="live",
                verdict=combine(check.verdict for check in judged.checks),
                checks=judged.checks,
                started_at=_entered_at(progress, judged),
                finished_at=judged.at,
                step=judged.step + 1,
                weight_percent=weights[judged.step],
                stage=f"step-{judged.step + 1}",
            )
            found.append((_order(f"step-{judged.step + 1}"), section))
    return tuple(section for _, section in sorted(found, key=lambda pair: pair[0]))


def _order(stage: str) -> int:
    if stage.startswith("step-"):
        return int(stage.removeprefix("step-"))
    return 0 if stage == "before-traffic" else _LAST


def _entered_at(progress: Progress, judged: Judged) -> float | None:
    """When the step was entered for the last time before it was judged."""
    said = f"step {judged.step + 1} of "
    entries = [e.at for e in progress.timeline if e.kind == "StepEntered" and e.message.startswith(said)]
    return max((at for at in entries if at <= judged.at), default=None)


def _fingerprint_differences(known: Mapping[Arm, Fingerprint]) -> tuple[FieldDifference, ...]:
    before, after = known.get(Arm.BASELINE, Fingerprint()), known.get(Arm.CANARY, Fingerprint())
    return fingerprint_differences(before, after, confounders(before, after))


def _approval(risk: str) -> str:
    if risk in ("R0", "R1"):
        return f"not needed at risk {risk}"
    return f"none: risk {risk} needs one, which this version cannot record; such a Change is refused"


def _last_known_good(good: Mapping[str, Any] | None) -> LastKnownGood | None:
    return LastKnownGood(good["change"], good["digest"], good.get("recordedAt")) if good else None


def _rollback(progress: Progress, decision: Decision | None) -> Rollback | None:
    """The return of the traffic, after a promotion as well; None where it was never moved back."""
    if progress.patched_at is None:
        return None
    seconds_to = progress.rollback_seconds()
    return Rollback(
        from_fault_onset_seconds=seconds_to["fromFaultOnset"],
        from_deciding_sample_seconds=seconds_to["fromDecidingSample"],
        from_patch_seconds=seconds_to["fromPatch"],
        fault_at=decision.fault_at if decision else None,
        deciding_sample_at=decision.sample_at if decision else None,
        patched_at=progress.patched_at,
        last_new_request_at=progress.last_new_request_at,
        quiet_at=progress.quiet_at,
    )


def _verdict(progress: Progress, sections: Sequence[Section]) -> Verdict:
    if progress.verdict is not None:
        return progress.verdict
    verdict = combine(section.verdict for section in sections if section.verdict is not None)
    if progress.ended is None:
        return verdict
    return settled(progress.ended, verdict, progress.would_have_done)


def _outcome(progress: Progress, sections: Sequence[Section]) -> str:
    """`RolledBack by an operator; the stable did not pass its suites afterwards`."""
    decision, words = progress.decision, str(progress.ended)
    asked = decision is not None and decision.reason in _BY_AN_OPERATOR
    if asked and progress.ended in (Reason.ROLLED_BACK, Reason.ABANDONED):
        words += " by an operator"
    if progress.ended is Reason.OBSERVED and progress.would_have:
        words += f", would have been {_WOULD_HAVE[progress.would_have.action]}"
    after = [section.verdict for section in sections if section.stage == AFTER_ROLLBACK]
    unhealthy = any(verdict is not Verdict.PASS for verdict in after)
    return words + ("; the stable did not pass its suites afterwards" if unhealthy else "")


def _notes(progress: Progress, enforcement: str, keyless: str | None) -> tuple[str, ...]:
    notes = []
    if enforcement != "Enforce":
        would = progress.would_have
        did = f"would have done {would.action}: {would.message}" if would else "would not have acted"
        notes.append(f"Advise: nothing was changed; the guard {did}")
    resumed = [entry.at for entry in progress.timeline if entry.kind == "Resumed"]
    if resumed:
        notes.append(
            f"another guard went on at {rfc3339(resumed[-1])}: users' requests and raw samples before it "
            "are not in this evidence; suites, judgements of steps and the route's versions are"
        )
    if keyless is not None:
        notes.append(
            f"the guard that ended this Change did not have the runtime's key ({keyless}): it ran no suite, "
            "and could not look for the key in what suites had written before"
        )
    return tuple(notes)


def _traffic(blocks: Iterable[CounterBlock], offset: float) -> list[TrafficBin]:
    """Users' requests per arm and bin, from the gateway's counters."""
    counts: dict[tuple[float, Arm], list[int]] = {}
    for block in blocks:
        at = (block.start + offset) // BIN_SECONDS * BIN_SECONDS
        count = counts.setdefault((at, block.arm), [0, 0])
        count[0] += block.requests
        count[1] += block.bad
    return [TrafficBin(at, BIN_SECONDS, arm, *count) for (at, arm), count in sorted(counts.items())]


def _users(blocks: Sequence[CounterBlock]) -> UserImpact | None:
    """Users' requests on both arms, by the gateway's counters; whose fault one was, a counter cannot tell."""
    if not blocks:
        return None
    return UserImpact(sum(block.requests for block in blocks), sum(block.bad for block in blocks))
