"""What a gate run found so far, and the report that can be made of it at any moment.

Owns how suites combine into one verdict and its one-sentence reason. An interrupted or broken run has a
report like any other: ERROR, with everything that was found until then.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from guard import __version__
from guard.core.check import Check
from guard.core.evidence import Event, FieldDifference, Report, Section
from guard.core.series import RequestPoint, bins
from guard.core.text import one_line
from guard.core.verdict import NotJudged, Verdict, combine
from guard.gate.plan import Plan

PREFLIGHT = "preflight"
_BIN_SECONDS = 5.0
_LONGEST_REASON = 400


def combined(sections: Iterable[Section]) -> Verdict:
    """The verdict of the suites that ran: the worst one; NO_DATA when none could judge anything.

    A preflight that passed proves nothing of the candidate, so it counts only when it did not.
    """
    found = [
        section.verdict
        for section in sections
        if isinstance(section.verdict, Verdict)
        and not (section.name == PREFLIGHT and section.verdict is Verdict.PASS)
    ]
    return combine(found)


@dataclass
class Record:
    """Grows while the gate runs. `on_event` hears every line of the timeline as it is written."""

    plan: Plan
    started_at: float
    on_event: Callable[[Event], None]
    clock: Callable[[], float]
    model: str | None = None
    sections: list[Section] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    trace: list[dict[str, Any]] = field(default_factory=list)
    changed: tuple[FieldDifference, ...] = ()
    requests: tuple[RequestPoint, ...] = ()
    notes: list[str] = field(default_factory=list)
    stopped: str | None = None

    def event(self, reason: str, message: str) -> None:
        event = Event(self.clock(), reason, message)
        self.timeline.append(event)
        self.on_event(event)

    def add(self, section: Section) -> None:
        """Take a section, and trace what the whole stands at with it."""
        self.sections.append(section)
        whole = combined(self.sections)
        self.trace.append(
            {
                "at": self.clock(),
                "section": section.name,
                "verdict": None if section.verdict is None else str(section.verdict),
                "combined": str(whole),
                "reason": section.note or next(iter(_reasons(section, section.verdict)), None),
            }
        )

    def skip(self, suite: str, why: str) -> None:
        """A suite of the plan that is not run."""
        self.add(Section(suite, None, note=why))
        self.event("SuiteNotRun", f"{suite} not run: {why}")

    def stop(self, why: str) -> None:
        """The run cannot go on: the whole is ERROR, whatever was found until then."""
        self.stopped = why
        self.trace.append({"at": self.clock(), "section": None, "verdict": "ERROR", "reason": why})

    @property
    def verdict(self) -> Verdict:
        return Verdict.ERROR if self.stopped else combined(self.sections)

    def report(self) -> Report:
        """Everything so far; `files` are added when they are sealed."""
        candidate = self.plan.candidate.url
        baseline = self.plan.baseline.url if self.plan.baseline else None
        return Report(
            kind="gate",
            title=f"{candidate} against {baseline}" if baseline else candidate,
            verdict=self.verdict,
            reason=self._reason(),
            started_at=self.started_at,
            finished_at=self.clock(),
            tidegate=__version__,
            candidate=candidate,
            baseline=baseline,
            model=self.model or self.plan.model,
            policy=self.plan.config.policy,
            sections=tuple(self.sections),
            changed=self.changed,
            timeline=tuple(self.timeline),
            notes=(*self.notes, *self._standing_notes()),
            requests=self.requests,
            traffic=bins(self.requests, _BIN_SECONDS),
        )

    def _reason(self) -> str:
        if self.stopped:
            return self.stopped
        if self.verdict is Verdict.PASS:
            names = ", ".join(
                s.name for s in self.sections if s.verdict is Verdict.PASS and s.name != PREFLIGHT
            )
            return f"{names} passed"
        reasons = [
            f"{section.name} / {reason}"
            for section in self.sections
            for reason in _reasons(section, self.verdict)
        ]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return one_line(reasons[0], _LONGEST_REASON) + more if reasons else "nothing could be judged"

    def _standing_notes(self) -> list[str]:
        notes = []
        if self.plan.baseline is None:
            notes.append("not compared: no --baseline was given")
        elif self.verdict is Verdict.PASS and self.plan.config.policy == "NoHarmFound":
            notes.append("passed without proof of equality: no harm was found (policy NoHarmFound)")
        return notes


def preflight_section(checks: Iterable[Check], started_at: float, finished_at: float) -> Section:
    found = tuple(checks)
    return Section(PREFLIGHT, combine(check.verdict for check in found), found, started_at, finished_at)


def _reasons(section: Section, verdict: Verdict | NotJudged | None) -> list[str]:
    """Why a section has this verdict; empty when it has another."""
    found = [f"{check.name}: {check.reason}" for check in section.checks if check.verdict is verdict]
    broken = [f"suite: {section.error}"] if section.error and verdict is Verdict.ERROR else []
    empty = ["suite: no check ran"] if section.verdict is verdict and not (found or broken) else []
    return broken + found + empty
