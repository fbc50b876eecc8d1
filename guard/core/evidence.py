"""What a finished judgement tells a reader: one `Report`, for a gate run and for a Change alike.

Owns the words of verdict.json and of the report; times are Unix seconds, durations seconds, ratios 0.01.
Refuses to know how it is shown (`reports/`), where it is kept (`guard/adapters/artifacts.py`) and who
judged. Absence is None or an empty tuple, and a reader says so; no field is filled with a guess.

A gate fills `sections` with its suites. A guard fills them with the suites before traffic, then for each
step its suites and one section `live` for what was judged on users' traffic, with `step` and
`weight_percent` set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Self

from guard.core.check import Check, SuiteResult
from guard.core.series import RequestPoint, TrafficBin, WeightPoint
from guard.core.verdict import EXIT_CODES, NotJudged, Verdict

FORMAT = "tidegate.dev/verdict/v1"


class Difference(StrEnum):
    """How one field of the two fingerprints compares."""

    SAME = "same"
    EXPECTED = "expected"  # differs, and the change says so
    CONFOUNDED = "confounded"  # differs, and the change does not say so: nothing may be compared
    UNKNOWN = "unknown"  # not known on one side at least


@dataclass(frozen=True)
class FieldDifference:
    """One field of what made the samples: an image, a chat template's hash, an accelerator."""

    field: str
    before: str | None  # on the baseline or stable
    after: str | None  # on the candidate or canary
    difference: Difference


@dataclass(frozen=True)
class Section:
    """Checks that were judged together: one suite, or one step's live traffic.

    Attributes:
        name: `preflight`, `smoke`, `eval`, `load`, or `live`.
        verdict: None when it was not run; `note` then says why. NotJudged when it ran and nothing in it
            could be judged, as a comparison without a baseline: left out when verdicts combine.
        step, weight_percent: Where a Change stood; None before traffic and in a gate.
        error: Why the suite itself broke.
    """

    name: str
    verdict: Verdict | NotJudged | None
    checks: tuple[Check, ...] = ()
    started_at: float | None = None
    finished_at: float | None = None
    step: int | None = None
    weight_percent: int | None = None
    error: str | None = None
    note: str | None = None

    @classmethod
    def of(cls, result: SuiteResult, step: int | None = None, weight_percent: int | None = None) -> Self:
        """The section of one suite's run."""
        return cls(
            name=result.suite,
            verdict=_not_judged(result) or result.verdict,
            checks=result.checks,
            started_at=result.started_at,
            finished_at=result.finished_at,
            step=step,
            weight_percent=weight_percent,
            error=result.error,
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        checks = tuple(Check.from_json(check) for check in document["checks"])
        return cls(**{**document, "verdict": _verdict(document["verdict"]), "checks": checks})


@dataclass(frozen=True)
class Event:
    """One line of the timeline: `reason` is CamelCase, `message` a sentence."""

    at: float
    reason: str
    message: str


@dataclass(frozen=True)
class Deciding:
    """The sample at which the verdict was formed."""

    at: float
    signal: str
    message: str


@dataclass(frozen=True)
class Rollback:
    """How long new user requests still reached the canary: each time runs to the last of them.

    None where the beginning is not known. Streams in flight at the patch are counted apart.
    """

    from_fault_onset_seconds: float | None = None
    from_deciding_sample_seconds: float | None = None
    from_patch_seconds: float | None = None
    streams_finished: int | None = None
    streams_cut: int | None = None


@dataclass(frozen=True)
class UserImpact:
    """Users' own requests while the Change ran; `by_action` failed because of our rollback or promotion."""

    requests: int
    failed: int
    by_action: int | None = None


@dataclass(frozen=True)
class RawFile:
    """A file of the evidence folder; `path` is relative to the report."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Report:
    """Everything that a person or a pipeline is told about one gate run or one finished Change.

    Attributes:
        kind: `gate` or `change`.
        reason: One sentence: why this verdict.
        candidate, baseline: URLs in a gate, workloads in a Change. Baseline None: not compared.
        action: What was done (`Promoted`, `RolledBack`, `Refused`, `Abandoned`, `Observed`); None in a gate.
        policy: `NoHarmFound` or `NonInferior`.
        changed: What differs between the arms, and what could not be known.
        requests: For the plots of time to first token; see `guard.core.series.points`.
        traffic: For the plot of errors; see `guard.core.series.bins`, or fill it from gateway counters.
    """

    kind: Literal["gate", "change"]
    title: str
    verdict: Verdict
    reason: str
    started_at: float
    finished_at: float
    tidegate: str
    candidate: str
    baseline: str | None = None
    model: str | None = None
    policy: str | None = None
    action: str | None = None
    ticket: str | None = None
    requested_by: str | None = None
    risk: str | None = None
    sections: tuple[Section, ...] = ()
    changed: tuple[FieldDifference, ...] = ()
    deciding: Deciding | None = None
    rollback: Rollback | None = None
    users: UserImpact | None = None
    timeline: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[RawFile, ...] = ()
    weights: tuple[WeightPoint, ...] = ()
    requests: tuple[RequestPoint, ...] = field(default=(), repr=False)
    traffic: tuple[TrafficBin, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything, the plots' series included; survives a round trip through `from_json`."""
        plain: dict[str, Any] = _plain(self)
        return {"format": FORMAT, "exit_code": EXIT_CODES[self.verdict], **plain}

    def summary(self) -> dict[str, Any]:
        """verdict.json: everything but the plots' series, which the raw files hold."""
        bare = replace(self, requests=(), traffic=())
        return {key: value for key, value in bare.to_json().items() if key not in ("requests", "traffic")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Raises ValueError when the document is of another format."""
        if document.get("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT!r}, got {document.get('format')!r}")
        known = {f.name for f in fields(cls)}
        read = {key: _READERS.get(key, _same)(value) for key, value in document.items() if key in known}
        return cls(**read)


def _plain(value: Any) -> Any:
    if isinstance(value, Check):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def _same(value: Any) -> Any:
    return value


def _not_judged(result: SuiteResult) -> NotJudged | None:
    words = [check.verdict for check in result.checks if isinstance(check.verdict, NotJudged)]
    every = len(words) == len(result.checks) and not result.error
    return words[0] if words and every else None


def _verdict(word: str | None) -> Verdict | NotJudged | None:
    if word is None:
        return None
    return Verdict(word) if word in Verdict.__members__ else NotJudged(word)


def _optional(kind: type[Any]) -> Any:
    return lambda value: None if value is None else kind(**value)


def _difference(row: Mapping[str, Any]) -> FieldDifference:
    return FieldDifference(**{**row, "difference": Difference(row["difference"])})


_READERS: Mapping[str, Any] = {
    "verdict": Verdict,
    "sections": lambda rows: tuple(Section.from_json(row) for row in rows),
    "changed": lambda rows: tuple(_difference(row) for row in rows),
    "deciding": _optional(Deciding),
    "rollback": _optional(Rollback),
    "users": _optional(UserImpact),
    "timeline": lambda rows: tuple(Event(**row) for row in rows),
    "notes": tuple,
    "files": lambda rows: tuple(RawFile(**row) for row in rows),
    "weights": lambda rows: tuple(WeightPoint(**row) for row in rows),
    "requests": lambda rows: tuple(RequestPoint.from_json(row) for row in rows),
    "traffic": lambda rows: tuple(TrafficBin.from_json(row) for row in rows),
}
