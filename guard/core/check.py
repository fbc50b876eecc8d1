"""One judged fact, and the result of one suite: what every verdict must say about itself.

A check states signal, observed value, limit, sample count and window, so that a report, a JUnit file and
a Kubernetes condition can all be written from it without knowing how it was judged. Both types survive a
JSON round trip (`to_json`, `from_json`); numbers are finite or None, never NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from guard.core.verdict import NotJudged, Verdict, combine

_UNDECIDED = "not decided yet: "


def _outcome(word: str) -> Verdict | NotJudged:
    return Verdict(word) if word in Verdict.__members__ else NotJudged(word)


@dataclass(frozen=True)
class Check:
    """One judged fact.

    Attributes:
        name: Stable identifier, unique in its suite: `ttft-p95`, `stream-is-whole`, `eval-paired`.
        verdict: A verdict, or why there is none.
        reason: One sentence for a person, with value against limit.
        signal: `ttft`, `itl`, `errors`, `quality`, `hard_limit`, or an objective's or suite's name.
        value: Observed on the canary, in `unit`; None when unknown.
        limit: What `value` was judged against, in `unit`.
        baseline_value: The same measure on the baseline; None without one.
        unit: `seconds`, `ratio` (0.01, never 1), `count`, or empty.
        samples: Requests, items or blocks behind `value`.
        window_seconds: The time they cover.
        p_value: Where an exact test decided.
        evidence: An e-value, and `threshold` what it had to reach, where a sequential test decided.
        detail: Anything else worth keeping; JSON values only. Text from models goes only here.
    """

    name: str
    verdict: Verdict | NotJudged
    reason: str
    signal: str | None = None
    value: float | None = None
    limit: float | None = None
    baseline_value: float | None = None
    unit: str = ""
    samples: int | None = None
    window_seconds: float | None = None
    p_value: float | None = None
    evidence: float | None = None
    threshold: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def undecided(self) -> bool:
        """A PASS whose figures look like a failure, and are too few to call it one."""
        return self.verdict is Verdict.PASS and self.detail.get("undecided") is True

    def as_undecided(self) -> Self:
        """The same PASS, with its reason saying so first; `settled` takes it back."""
        reason = _UNDECIDED + self.reason.removeprefix(_UNDECIDED)
        return replace(self, reason=reason, detail={**self.detail, "undecided": True})

    def settled(self, verdict: Verdict) -> Self:
        """The check with the verdict that was reached after all."""
        detail = {key: value for key, value in self.detail.items() if key != "undecided"}
        return replace(self, verdict=verdict, reason=self.reason.removeprefix(_UNDECIDED), detail=detail)

    def to_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "verdict": str(self.verdict),
            "detail": dict(self.detail),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "verdict": _outcome(document["verdict"])})


@dataclass(frozen=True)
class SuiteResult:
    """What one execution of one suite found.

    Attributes:
        suite: `smoke`, `eval`, `load`, `policy`.
        checks: In the order in which they ran.
        started_at, finished_at: Unix seconds.
        candidate, baseline: URLs; baseline None when nothing was compared.
        files: Raw data beside the result: name -> relative path (`requests` -> `requests.parquet`).
        error: Set when the suite itself broke (its collection failed, its process died): then the
            verdict is at least ERROR, whatever the checks say.
    """

    suite: str
    checks: tuple[Check, ...]
    started_at: float
    finished_at: float
    candidate: str
    baseline: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def verdict(self) -> Verdict:
        broken = [Verdict.ERROR] if self.error else []
        return combine([*broken, *(check.verdict for check in self.checks)])

    def to_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "verdict": str(self.verdict),
            "checks": [check.to_json() for check in self.checks],
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        known = {k: v for k, v in document.items() if k != "verdict"}
        return cls(**{**known, "checks": tuple(Check.from_json(c) for c in document["checks"])})
