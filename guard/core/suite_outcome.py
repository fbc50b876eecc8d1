"""What one suite of a probe came to, as metrics, records and notifications tell it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.verdict import Verdict


@dataclass(frozen=True)
class SuiteOutcome:
    """One finished suite.

    Attributes:
        reason: One sentence: why this verdict.
        deciding: The check that it comes from, where there is one.
        ttft_seconds, e2e_seconds: Of the suite's requests that got that far.
        counted: Good and bad probes, by what makes them so (guard.core.probe_counts).
    """

    suite: str
    verdict: Verdict
    reason: str = ""
    deciding: Check | None = None
    ttft_seconds: tuple[float, ...] = ()
    e2e_seconds: tuple[float, ...] = ()
    counted: Mapping[str, ArmCounts] = field(default_factory=dict)
