"""What a notification says: one event about a Change or a probe, with everything its reader needs first.

Owns the facts and the documented body (docs/monitoring.md). Refuses to know who is told and how it is sent.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from guard import __version__
from guard.core.check import Check
from guard.core.text import one_line
from guard.core.verdict import Verdict

FORMAT = "tidegate.dev/notification/v1"
_LONGEST_SUMMARY = 600


@dataclass(frozen=True)
class Signal:
    """The check that decided: value against limit, and what they rest on."""

    name: str
    check: str
    value: float | None
    limit: float | None
    baseline_value: float | None
    unit: str
    samples: int | None
    window_seconds: float | None

    @classmethod
    def of(cls, check: Check) -> "Signal":
        return cls(
            check.signal or check.name,
            check.name,
            check.value,
            check.limit,
            check.baseline_value,
            check.unit,
            check.samples,
            check.window_seconds,
        )

    def in_words(self) -> str:
        """`ttft 1.2 seconds, limit 0.75 (210 samples)`."""
        if self.value is None:
            return self.name
        limit = "" if self.limit is None else f", limit {self.limit:.4g}"
        samples = "" if self.samples is None else f" ({self.samples} samples)"
        return f"{self.name} {self.value:.4g} {self.unit}".rstrip() + limit + samples


@dataclass(frozen=True)
class ChangeFacts:
    """Which Change, and which versions it moves between."""

    name: str
    ticket: str
    risk: str
    requested_by: str
    plan_digest: str
    stable_images: tuple[str, ...]
    canary_images: tuple[str, ...]
    phase: str
    weight_percent: int


@dataclass(frozen=True)
class ProbeFacts:
    """Which scheduled suite."""

    suite: str
    suite_run: str


@dataclass(frozen=True)
class Notification:
    """One event.

    Attributes:
        event: One of the words that a Guard's `notify.events` lists.
        at: RFC 3339.
        environment: As the guard was started with; None where it was not told.
        summary: One sentence: what happened, and why.
        evidence: Where the record is; None while there is none.
        command: What shows more.
        key: What makes this event the same one when it is told again.
    """

    event: str
    at: str
    namespace: str
    guard: str
    summary: str
    command: str
    key: str
    verdict: Verdict | None = None
    environment: str | None = None
    change: ChangeFacts | None = None
    probe: ProbeFacts | None = None
    signal: Signal | None = None
    evidence: str | None = None
    tidegate: str = field(default=__version__)

    @property
    def id(self) -> str:
        """The same for the same event, so that a receiver can drop a repetition after a guard's restart."""
        identity = json.dumps([self.environment, self.namespace, self.guard, self.event, self.key])
        return "sha256:" + hashlib.sha256(identity.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The documented body."""
        said = replace(self, summary=one_line(self.summary, _LONGEST_SUMMARY))
        facts = {name: value for name, value in asdict(said).items() if name not in ("key", "command")}
        del facts["evidence"]
        return {
            "format": FORMAT,
            "id": self.id,
            **facts,
            "verdict": None if self.verdict is None else str(self.verdict),
            "links": {"evidence": self.evidence, "command": self.command},
        }
