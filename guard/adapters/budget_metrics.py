"""Error budgets as gauges: names, labels and values; guard.adapters.metrics makes the page of them.

Labels are bounded by the Guards' objectives and the table of windows. What too few runs tell of is absent: a
0 would say that nothing burns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from guard.core.burn_rate import ALERTS, Severity
from guard.core.verdict import Verdict

_PAIRS = {alert.long_seconds: alert.name.split("/")[0].replace(" ", "") for alert in ALERTS}
_KEY = ("namespace", "guard", "objective")


@dataclass(frozen=True)
class BudgetState:
    """One objective of a Guard.

    Attributes:
        budget_ratio: Share of requests that may be bad.
        alerts: As `guard.core.burn_rate.judge_budget` lists them in its detail.
    """

    guard: str
    objective: str
    budget_ratio: float
    alerts: Sequence[Mapping[str, Any]]


class Gauge(NamedTuple):
    """One metric with its samples."""

    name: str
    text: str
    labels: Sequence[str]
    samples: list[tuple[Sequence[str], float]]


def budget_gauges(namespace: str, states: Iterable[BudgetState]) -> Iterator[Gauge]:
    """What the page says of error budgets."""
    rows = [([namespace, state.guard, state.objective], state) for state in states]
    yield Gauge(
        "tidegate_error_budget_ratio",
        "Share of requests that an objective lets be bad.",
        _KEY,
        [(key, state.budget_ratio) for key, state in rows],
    )
    yield Gauge(
        "tidegate_error_budget_burn_rate",
        "Speed at which a window spends the budget; 1 lasts exactly 30 days.",
        [*_KEY, "pair", "window"],
        [([*key, *labels], rate) for key, state in rows for labels, rate in _rates(state)],
    )
    yield Gauge(
        "tidegate_error_budget_burning",
        "1 where both windows of a pair burn faster than its limit.",
        [*_KEY, "severity"],
        [([*key, severity], burns) for key, state in rows for severity, burns in _burning(state)],
    )


def _rates(state: BudgetState) -> Iterator[tuple[list[str], float]]:
    for alert in state.alerts:
        for window in ("long", "short"):
            rate = alert[f"{window}_burn_rate"]
            if rate is not None:
                yield [_PAIRS[alert["long_seconds"]], window], rate


def _burning(state: BudgetState) -> Iterator[tuple[str, float]]:
    """1 as soon as one pair fires; 0 only where every pair could be judged."""
    for severity in Severity:
        verdicts = {alert["verdict"] for alert in state.alerts if alert["severity"] == severity}
        if Verdict.FAIL in verdicts or verdicts == {Verdict.PASS}:
            yield str(severity), float(Verdict.FAIL in verdicts)
