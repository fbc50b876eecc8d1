"""What is known of one Change so far: the part of its status that a successor needs to go on.

Owns the shape of `Change.status` and its round trip. Times are Unix seconds inside, RFC 3339 outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from guard.core.change import Phase, Reason, settled
from guard.core.verdict import Verdict
from guard.daemon.clock import rfc3339, unix_seconds
from guard.daemon.recorded_decision import Decision

MAX_TIMELINE = 60  # the rest is in the evidence; an object in Kubernetes must stay small
QUEUED = "Queued"  # behind another Change of its Guard
ACTION_FAILED = "ActionFailed"  # tried again at the next tick; the message of an outage is another each time


@dataclass(frozen=True)
class Entry:
    """One line of the timeline."""

    at: float
    kind: str
    message: str


@dataclass
class Progress:
    """One Change's way so far.

    Attributes:
        generation: Of the Change, when it was last read.
        asked: The operator's action that the timeline has told of already.
        spec_digest: Of the Change's spec as it began (`guard.api.change.frozen_digest`).
        entering: The step whose patch was begun and is not known to be taken; written before it.
    """

    opened_at: float
    phase: Phase = Phase.PENDING
    step: int = -1
    entering: int | None = None
    stage_started_at: float = 0.0
    weight_percent: int = 0
    verdict: Verdict | None = None
    reason: str = "Pending"
    message: str = ""
    decision: Decision | None = None
    would_have: Decision | None = None
    patched_at: float | None = None
    last_new_request_at: float | None = None
    quiet_at: float | None = None
    ended: Reason | None = None
    finished_at: float | None = None
    evidence: str | None = None
    evidence_digest: str | None = None
    generation: int | None = None
    asked: str | None = None
    spec_digest: str | None = None
    suites: list[dict[str, str]] = field(default_factory=list)
    timeline: list[Entry] = field(default_factory=list)

    def note(self, at: float, kind: str, message: str) -> None:
        """Adds a line to the timeline."""
        self.timeline.append(Entry(at, kind, message))

    def say(self, at: float, kind: str, message: str) -> None:
        """The same, unless it is what the last line says already; one line for all that failed in a row."""
        last = self.timeline[-1] if self.timeline else None
        failing = last is not None and last.kind == kind == ACTION_FAILED
        if last is None or (not failing and (last.kind, last.message) != (kind, message)):
            self.note(at, kind, message)

    def enter(self, phase: Phase, at: float, reason: str, message: str) -> None:
        """A phase begins."""
        self.phase, self.stage_started_at = phase, at
        self.reason, self.message = reason, message
        self.say(at, reason, message)

    def end(self, reason: Reason, at: float, message: str) -> None:
        """The Change is over."""
        self.phase, self.ended, self.finished_at = Phase.FINISHED, reason, at
        self.reason, self.message = str(reason), message
        if self.verdict is not None:
            self.verdict = settled(reason, self.verdict, self.would_have_done)
        self.say(at, str(reason), message)

    @property
    def would_have_done(self) -> str | None:
        """Advise: the action that enforcing would have come to; None where it came to none."""
        return self.would_have.action if self.would_have else None

    def rollback_seconds(self) -> dict[str, float | None]:
        """From fault onset, deciding sample and patch, each to the last new request; None when unknown.

        A last new request before the patch counts from the patch as 0: the traffic had stopped by itself.
        """
        end = self.last_new_request_at
        decision = self.decision
        starts = {
            "fromFaultOnset": decision.fault_at if decision else None,
            "fromDecidingSample": decision.sample_at if decision else None,
            "fromPatch": self.patched_at,
        }
        return {
            name: None if start is None or end is None else max(0.0, end - start)
            for name, start in starts.items()
        }

    def to_status(self, steps: int) -> dict[str, Any]:
        """`Change.status`, whole."""
        step_text = f"{self.step + 1}/{steps}" if self.step >= 0 else f"-/{steps}"
        return {
            "phase": str(self.phase),
            "step": self.step,
            "stepText": step_text,
            "entering": self.entering,
            "weight": self.weight_percent,
            "verdict": str(self.verdict) if self.verdict else None,
            "reason": self.reason,
            "message": self.message,
            "openedAt": rfc3339(self.opened_at),
            "stageStartedAt": rfc3339(self.stage_started_at),
            "decision": self.decision and self.decision.to_document(),
            "wouldHave": self.would_have and self.would_have.to_document(),
            "rollback": self._rollback(),
            "finishedAt": rfc3339(self.finished_at),
            "evidence": self.evidence,
            "evidenceDigest": self.evidence_digest,
            "specDigest": self.spec_digest,
            "asked": self.asked,
            "suites": list(self.suites),
            "conditions": self._conditions(),
            "timeline": [
                {"at": rfc3339(e.at), "kind": e.kind, "message": e.message}
                for e in self.timeline[-MAX_TIMELINE:]
            ],
        }

    @classmethod
    def from_status(cls, status: Mapping[str, Any], now: float) -> Self:
        """What a predecessor wrote; a Change without status begins now."""
        if not status.get("phase"):
            return cls(opened_at=now, stage_started_at=now)
        if status["reason"] == QUEUED:  # its deadlines run from its turn
            timeline = [
                Entry(unix_seconds(e["at"]) or now, e["kind"], e["message"]) for e in status["timeline"]
            ]
            return cls(opened_at=now, stage_started_at=now, timeline=timeline)
        rollback = status.get("rollback") or {}
        ended = Reason(status["reason"]) if status["phase"] == Phase.FINISHED else None
        return cls(
            opened_at=unix_seconds(status["openedAt"]) or now,
            phase=Phase(status["phase"]),
            step=status["step"],
            entering=status.get("entering"),
            stage_started_at=unix_seconds(status["stageStartedAt"]) or now,
            weight_percent=status["weight"],
            verdict=Verdict(status["verdict"]) if status.get("verdict") else None,
            reason=status["reason"],
            message=status["message"],
            decision=Decision.from_document(status.get("decision")),
            would_have=Decision.from_document(status.get("wouldHave")),
            patched_at=unix_seconds(rollback.get("patchedAt")),
            last_new_request_at=unix_seconds(rollback.get("lastNewRequestAt")),
            quiet_at=unix_seconds(rollback.get("quietAt")),
            ended=ended,
            finished_at=unix_seconds(status.get("finishedAt")),
            evidence=status.get("evidence"),
            evidence_digest=status.get("evidenceDigest"),
            spec_digest=status.get("specDigest"),
            asked=status.get("asked"),
            suites=list(status.get("suites") or []),
            timeline=[
                Entry(unix_seconds(e["at"]) or now, e["kind"], e["message"])
                for e in status.get("timeline") or []
            ],
        )

    def _rollback(self) -> dict[str, Any] | None:
        if self.patched_at is None:
            return None
        return {
            "patchedAt": rfc3339(self.patched_at),
            "lastNewRequestAt": rfc3339(self.last_new_request_at),
            "quietAt": rfc3339(self.quiet_at),
            "seconds": {k: None if v is None else f"{v:.3f}" for k, v in self.rollback_seconds().items()},
        }

    def _conditions(self) -> list[dict[str, Any]]:
        """`Finished` for `kubectl wait`, and `Progressing` with what is being waited for."""
        changed = rfc3339(self.finished_at or self.stage_started_at)
        finished = self.ended is not None

        def condition(kind: str, holds: bool) -> dict[str, Any]:
            return {
                "type": kind,
                "status": "True" if holds else "False",
                "reason": str(self.ended) if self.ended else self.reason,
                "message": self.message,
                "observedGeneration": self.generation,
                "lastTransitionTime": changed,
            }

        return [condition("Finished", finished), condition("Progressing", not finished)]
