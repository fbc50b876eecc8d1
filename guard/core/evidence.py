"""What a finished judgement tells a reader: one `Report`, for a gate run and for a Change alike.

Owns the words of verdict.json and of the report; times are Unix seconds, durations seconds, ratios 0.01.
Refuses to know how it is shown (`reports/`), where it is kept (`guard/adapters/artifacts.py`) and who
judged. Absence is None or an empty tuple, and a reader says so; no field is filled with a guess.

A gate fills `sections` with its suites. A guard fills them with the suites before traffic, then for each
step its suites and one section `live` for what was judged on users' traffic, with `step` and
`weight_percent` set, then the suites after a rollback.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Self

from guard.core.change import Reason, exit_code
from guard.core.check import Check, SuiteResult
from guard.core.fingerprint import COMPARED_FIELDS, Fingerprint
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


def fingerprint_differences(
    before: Fingerprint, after: Fingerprint, confounding: Iterable[str]
) -> tuple[FieldDifference, ...]:
    """Every compared field, in the fingerprint's order; `confounding` names those that nobody expected."""
    confounding = set(confounding)

    def kind(name: str, one: str | None, other: str | None) -> Difference:
        if one is None or other is None:
            return Difference.UNKNOWN
        if one == other:
            return Difference.SAME
        return Difference.CONFOUNDED if name in confounding else Difference.EXPECTED

    rows = ((name, getattr(before, name), getattr(after, name)) for name in COMPARED_FIELDS)
    return tuple(FieldDifference(name, one, other, kind(name, one, other)) for name, one, other in rows)


@dataclass(frozen=True)
class Section:
    """Checks that were judged together: one suite, or one step's live traffic.

    Attributes:
        name: `preflight`, `smoke`, `eval`, `load`, or `live`.
        verdict: None when it was not run; `note` then says why. NotJudged when it ran and nothing in it
            could be judged, as a comparison without a baseline: left out when verdicts combine.
        step, weight_percent: Where a Change stood; None before traffic and in a gate.
        stage: `before-traffic`, `step-1`, `after-rollback`; None in a gate.
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
    stage: str | None = None

    @classmethod
    def of(
        cls,
        result: SuiteResult,
        step: int | None = None,
        weight_percent: int | None = None,
        stage: str | None = None,
    ) -> Self:
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
            stage=stage,
        )


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

    None where the beginning is not known. Streams in flight at the patch are counted apart. The moments
    between which the times run are Unix seconds; `quiet_at` is when no new request was certain.
    """

    from_fault_onset_seconds: float | None = None
    from_deciding_sample_seconds: float | None = None
    from_patch_seconds: float | None = None
    streams_finished: int | None = None
    streams_cut: int | None = None
    fault_at: float | None = None
    deciding_sample_at: float | None = None
    patched_at: float | None = None
    last_new_request_at: float | None = None
    quiet_at: float | None = None


@dataclass(frozen=True)
class UserImpact:
    """Users' own requests while the Change ran; `by_action` failed because of our rollback or promotion."""

    requests: int
    failed: int
    by_action: int | None = None


@dataclass(frozen=True)
class LastKnownGood:
    """What was last promoted before this Change: the plan to return to. `digest` is that plan's."""

    change: str
    digest: str
    recorded_at: str | None = None  # RFC 3339, as the Guard's status has it


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
        outcome: The action in words, with who asked for it, and what is wrong in spite of it.
        would_have: Of a Change that was only observed: `Promote` or `RollBack`; None where it was neither.
        policy: `NoHarmFound` or `NonInferior`.
        plan_digest: Of a Change's frozen plan: what an approval is given for.
        approval: Of a Change, in a sentence: who approved it, or why nobody had to.
        last_known_good: Of a Change's Guard when it was opened; None where none was recorded.
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
    plan_digest: str | None = None
    approval: str | None = None
    last_known_good: LastKnownGood | None = None
    outcome: str | None = None
    would_have: str | None = None

    @property
    def exit_code(self) -> int:
        """Of a gate by its verdict; of a Change by how it ended, which is what a pipeline asks."""
        if self.kind == "gate" or self.action is None:
            return EXIT_CODES[self.verdict]
        return exit_code(Reason(self.action), self.verdict, self.would_have)

    def to_json(self) -> dict[str, Any]:
        """Everything, the plots' series included; `guard.adapters.evidence` reads it back."""
        plain: dict[str, Any] = _plain(self)
        return {"format": FORMAT, "exit_code": self.exit_code, **plain}

    def summary(self) -> dict[str, Any]:
        """verdict.json: everything but the plots' series, which the raw files hold."""
        bare = replace(self, requests=(), traffic=())
        return {key: value for key, value in bare.to_json().items() if key not in ("requests", "traffic")}


def _plain(value: Any) -> Any:
    if isinstance(value, Check):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def _not_judged(result: SuiteResult) -> NotJudged | None:
    words = [check.verdict for check in result.checks if isinstance(check.verdict, NotJudged)]
    every = len(words) == len(result.checks) and not result.error
    return words[0] if words and every else None
