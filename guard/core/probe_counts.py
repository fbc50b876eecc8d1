"""Which of one suite run's probes were good, and which bad, by each objective of the Guard.

Owns which suite says something of which objective. Refuses to know windows, and to judge.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.objectives import ErrorObjective, Objective, count_over
from guard.core.samples import Arm, RequestSample
from guard.core.verdict import Verdict

# The load suite asks as users do and keeps every request. Smoke asks for so few tokens that only its times to
# the first one are like a user's. An eval's answers are long, graded, and asked for one after another.
_SIGNALS = {"smoke": ("errors", "ttft"), "load": ("errors", "ttft", "itl", "tpot", "e2e")}
_ANSWERED = ("errors", "hard_limit")  # what checks of these signals ask: is there a valid answer at all?


def feeds(suite: str, objective: Objective) -> bool:
    """Whether a run of this suite is good or bad by this objective."""
    return objective.signal in _SIGNALS.get(suite, ())


def budget_key(objective: Objective) -> str:
    """What good and bad depend on: the same for objectives that differ only in how much may be bad."""
    if isinstance(objective, ErrorObjective):
        return objective.name
    return f"{objective.signal}>{objective.limit_seconds:g}s"


def probe_counts(
    suite: str,
    checks: Sequence[Check],
    samples: Iterable[RequestSample] | None,
    objectives: Iterable[Objective],
) -> dict[str, ArmCounts]:
    """By `budget_key`, what one run came to; nothing of objectives that it says nothing of.

    Args:
        checks: The suite's; used where there are no samples. One that is ERROR is neither good nor bad.
        samples: Every request of the run, where the suite keeps them.
    """
    ours = None if samples is None else [sample for sample in samples if sample.arm is Arm.CANARY]
    found = {}
    for objective in objectives:
        if feeds(suite, objective):
            counts = _of_checks(objective, checks) if ours is None else count_over(objective, ours)
            if counts.total:
                found[budget_key(objective)] = counts
    return found


def _of_checks(objective: Objective, checks: Sequence[Check]) -> ArmCounts:
    if isinstance(objective, ErrorObjective):
        asked = [c for c in checks if c.signal in _ANSWERED and c.verdict in (Verdict.PASS, Verdict.FAIL)]
        return ArmCounts(sum(check.verdict is Verdict.FAIL for check in asked), len(asked))
    times = [_seconds(value) for check in checks for value in _listed(check.detail, objective.signal)]
    return ArmCounts(sum(time > objective.limit_seconds for time in times), len(times))


def _listed(detail: Mapping[str, Any], signal: str) -> list[Any]:
    found = detail.get(f"{signal}_seconds")
    return found if isinstance(found, list) else []


def _seconds(value: Any) -> float:
    """A request without a first token has kept its user waiting in vain."""
    return float(value) if isinstance(value, int | float) else math.inf
