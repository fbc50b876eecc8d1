"""What one suite of a probe came to, as metrics, records and notifications tell it."""

from dataclasses import dataclass

from guard.core.check import Check
from guard.core.verdict import Verdict


@dataclass(frozen=True)
class SuiteOutcome:
    """One finished suite.

    Attributes:
        reason: One sentence: why this verdict.
        deciding: The check that it comes from, where there is one.
        ttft_seconds, e2e_seconds: Of the suite's requests that got that far.
    """

    suite: str
    verdict: Verdict
    reason: str = ""
    deciding: Check | None = None
    ttft_seconds: tuple[float, ...] = ()
    e2e_seconds: tuple[float, ...] = ()
