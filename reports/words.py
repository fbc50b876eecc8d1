"""Numbers and verdicts as a reader sees them, and the order in which checks are shown: broken ones first.

Owns wording that every format shares. Knows no format.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from guard.core.check import Check
from guard.core.evidence import Difference, FieldDifference, Report, Rollback, Section
from guard.core.samples import Arm
from guard.core.verdict import NotJudged, Verdict, combine

UNKNOWN = "\u2013"  # an en dash

# A symbol beside the word: nothing is told by colour alone.
SYMBOLS: dict[str, str] = {
    Verdict.FAIL: "✕",
    Verdict.ERROR: "!",
    Verdict.NO_DATA: "∅",
    Verdict.INCONCLUSIVE: "?",
    Verdict.PASS: "✓",
}
NOT_RUN = "NOT RUN"

_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.NO_DATA, Verdict.INCONCLUSIVE)


@dataclass(frozen=True)
class Finding:
    """One check that did not pass, and where."""

    section: Section
    check: Check


def findings(report: Report) -> list[Finding]:
    """Every check that did not pass, the worst first, otherwise in the order in which they ran."""
    found = [Finding(section, check) for section in report.sections for check in all_checks(section)]
    broken = [finding for finding in found if finding.check.verdict in _WORST_FIRST]
    return sorted(broken, key=lambda finding: _WORST_FIRST.index(Verdict(finding.check.verdict)))


def all_checks(section: Section) -> tuple[Check, ...]:
    """The section's checks; a suite that broke counts as one more, so that no format can lose it."""
    if not section.error:
        return section.checks
    return (Check("suite", Verdict.ERROR, section.error), *section.checks)


def fields_that_are(difference: Difference, report: Report) -> list[FieldDifference]:
    return [row for row in report.changed if row.difference is difference]


def section_title(section: Section) -> str:
    """`load`, `before traffic: load`, or `step 2 (50 %): load`."""
    place = stage_title(section)
    return f"{place}: {section.name}" if place else section.name


def stage_title(section: Section) -> str:
    """Where in a Change: `step 2 (50 %)`; empty in a gate."""
    if section.step is None:
        return (section.stage or "").replace("-", " ")
    weight = "" if section.weight_percent is None else f" ({section.weight_percent} %)"
    return f"step {section.step}{weight}"


@dataclass(frozen=True)
class Stage:
    """One stage of a Change: what ran in it, in order, and the worst that came of it."""

    title: str
    verdict: Verdict
    sections: tuple[Section, ...]

    @property
    def started_at(self) -> float | None:
        return min((s.started_at for s in self.sections if s.started_at is not None), default=None)

    @property
    def seconds(self) -> float | None:
        """None while no section of it says when it ended."""
        ended = max((s.finished_at for s in self.sections if s.finished_at is not None), default=None)
        return None if ended is None or self.started_at is None else ended - self.started_at


def stages(report: Report) -> list[Stage]:
    """A Change's stages in order; empty in a gate."""
    found: dict[str, list[Section]] = {}
    for section in report.sections:
        if section.stage is not None or section.step is not None:
            found.setdefault(stage_title(section), []).append(section)
    return [Stage(title, _worst(sections), tuple(sections)) for title, sections in found.items()]


def _worst(sections: Iterable[Section]) -> Verdict:
    return combine(section.verdict for section in sections if section.verdict is not None)


@dataclass(frozen=True)
class Span:
    """One of the three times of a rollback: from `at` to the last new request on the canary."""

    name: str
    at: float | None
    seconds: float | None


def rollback_spans(rollback: Rollback) -> tuple[Span, Span, Span]:
    """From fault onset, from the deciding sample, from the patch."""
    return (
        Span("fault onset", rollback.fault_at, rollback.from_fault_onset_seconds),
        Span("the deciding sample", rollback.deciding_sample_at, rollback.from_deciding_sample_seconds),
        Span("the patch", rollback.patched_at, rollback.from_patch_seconds),
    )


def last_known_good(report: Report) -> str | None:
    """What there was to return to, in words; None in a gate."""
    if report.kind == "gate":
        return None
    good = report.last_known_good
    if good is None:
        return "none was recorded: the plan's copy of the stable's pod template was to be returned to"
    recorded = f", recorded {good.recorded_at}" if good.recorded_at else ""
    return f"change {good.change}, {good.digest}{recorded}"


def arm_names(report: Report) -> dict[Arm, str]:
    """The field's words: a gate has a candidate and a baseline, a Change a canary and a stable."""
    if report.kind == "gate":
        return {Arm.BASELINE: "baseline", Arm.CANARY: "candidate"}
    return {Arm.BASELINE: "stable", Arm.CANARY: "canary"}


def headline(report: Report) -> str:
    """What a report leads with: a gate's verdict, and of a Change how it ended."""
    if report.kind == "gate" or report.action is None:
        return verdict_word(report.verdict)
    return report.outcome or report.action


def headline_verdict(report: Report) -> Verdict:
    """The colour and symbol of the headline: never a PASS's over a Change that came to nothing."""
    if report.kind == "gate" or report.action is None:
        return report.verdict
    return _OF_EXIT_CODE[report.exit_code]


_OF_EXIT_CODE = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR)


def verdict_word(verdict: Verdict | NotJudged | None) -> str:
    return NOT_RUN if verdict is None else str(verdict).replace("_", " ")


def check_word(check: Check) -> str:
    """The verdict, and beside a PASS that only too little data keeps from being a failure: undecided."""
    return verdict_word(check.verdict) + (", undecided" if check.undecided else "")


def quantity(value: float | None, unit: str) -> str:
    """`0.82, seconds` -> `820 ms`; `0.01, ratio` -> `1 %`; unknown is a dash, never 0."""
    if value is None:
        return UNKNOWN
    if unit == "seconds":
        return duration(value)
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    return f"{value:.6g}"


def duration(seconds: float | None) -> str:
    """`0.0421` -> `42.1 ms`, `3.14159` -> `3.14 s`, `125` -> `2 min 5 s`."""
    if seconds is None:
        return UNKNOWN
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if abs(seconds) < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(part for part in parts if part)


def instant(unix_seconds: float | None) -> str:
    """In UTC to the millisecond: for events that follow each other closely."""
    if unix_seconds is None:
        return UNKNOWN
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def moment(unix_seconds: float | None) -> str:
    """In UTC to the second, the same wherever the report is made."""
    if unix_seconds is None:
        return UNKNOWN
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def offset(at: float, start: float) -> str:
    """Time since the start: `+12.3 s`."""
    return f"{at - start:+.1f} s"


def count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number}"


def size(byte_count: int) -> str:
    return f"{byte_count} B" if byte_count < 1000 else f"{byte_count / 1000:.3g} kB"


def statistic(check: Check) -> str:
    """What an exact or sequential test said; empty when none decided."""
    parts = []
    if check.p_value is not None:
        parts.append(f"p = {check.p_value:.3g}")
    if check.evidence is not None:
        needed = "" if check.threshold is None else f" of {check.threshold:g}"
        parts.append(f"e = {check.evidence:.4g}{needed}")
    return ", ".join(parts)
