"""How fast is the error budget spent, and whom does that wake? Over several windows at several speeds.

Owns the arithmetic and the table of alerts for scheduled probes, whose objective is a ratio of good requests
over 30 days. Refuses to know where counts come from and who is told; a Change is judged elsewhere.

Source of the table and of "both windows": Google, The Site Reliability Workbook (2018), chapter 5, "Alerting
on SLOs", table 5-8 and section 6, "Multiwindow, Multi-Burn-Rate Alerts". The long window says that a share of
the budget is gone, the short one (a twelfth of it) that it is still being spent.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.verdict import Verdict, combine

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
PERIOD_SECONDS = 30 * DAY
# Arbitrary: of few probes a single bad one is above every speed in the table. The Workbook says so itself
# ("Low-Traffic Services and Error Budget Alerting") and leaves the answer to the reader.
MIN_BAD = 2
NAME = "error-budget"


class Severity(StrEnum):
    """What an alert asks for."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True)
class BurnAlert:
    """Fires when both windows spend the budget faster than this; the fastest comes first in a table.

    Attributes:
        burn_rate: 1 lasts exactly the period.
        budget_ratio: What the long window has spent of the period's budget at that speed.
    """

    severity: Severity
    long_seconds: float
    short_seconds: float
    burn_rate: float
    budget_ratio: float

    @property
    def name(self) -> str:
        """`1 h/5 min`."""
        return f"{_span(self.long_seconds)}/{_span(self.short_seconds)}"


# Table 5-8.
ALERTS = (
    BurnAlert(Severity.PAGE, 1 * HOUR, 5 * MINUTE, 14.4, 0.02),
    BurnAlert(Severity.PAGE, 6 * HOUR, 30 * MINUTE, 6.0, 0.05),
    BurnAlert(Severity.TICKET, 3 * DAY, 6 * HOUR, 1.0, 0.10),
)


def alerts_for(longest_gap_seconds: float) -> tuple[BurnAlert, ...]:
    """The table for a schedule that is silent for so long between two runs.

    A short window holds at least one run; an alert whose long window is no longer than that is left out.
    """
    wide = (replace(a, short_seconds=max(a.short_seconds, longest_gap_seconds)) for a in ALERTS)
    return tuple(alert for alert in wide if alert.short_seconds < alert.long_seconds)


def burn_rate(counts: ArmCounts, objective_ratio: float) -> float | None:
    """Speed at which one window spends the error budget.

    1.0 lasts exactly the SLO period; 14.4 spends 2 % of 30 days in an hour.

    Args:
        counts: Bad requests and all requests of the window.
        objective_ratio: Good-request target, strictly between 0 and 1.
    Returns:
        Dimensionless, >= 0; None (no data) when nothing was seen.
    Raises:
        ValueError: The objective is outside its range.
    """
    if not 0 < objective_ratio < 1:
        raise ValueError(f"objective_ratio {objective_ratio!r} is not between 0 and 1")
    if counts.total <= 0:
        return None
    return min(max(counts.bad, 0), counts.total) / counts.total / (1 - objective_ratio)


def judge_budget(
    counts: Mapping[float, ArmCounts],
    objective_ratio: float,
    alerts: Sequence[BurnAlert] = ALERTS,
    thin: Collection[float] = (),
    lone: Collection[float] = (),
) -> Check:
    """FAIL at the first alert that fires; NO_DATA when any window of the others says nothing; else PASS.

    Args:
        counts: Window in seconds, up to now -> what it saw; a window that is missing saw nothing.
        alerts: The most urgent first.
        thin: Windows that saw too little to say anything, whatever it was.
        lone: Windows whose bad requests are all of one run: long ones do not fire, for those fail together.
    Returns:
        `value` is the long window's burn rate, `limit` the alert's; `detail["severity"]` who is asked for,
        `detail["alerts"]` what each alert came to.
    Raises:
        ValueError: The objective is outside its range.
    """
    found = [_judge(alert, counts, objective_ratio, thin, lone) for alert in alerts]
    if not found:
        return Check(NAME, Verdict.NO_DATA, "the schedule is too sparse for every window", "error-budget")
    verdict = combine(check.verdict for check in found)
    deciding = next(check for check in found if check.verdict is verdict)
    leaning = next((check for check in found if check.undecided), deciding)
    chosen = leaning if verdict is Verdict.PASS else deciding
    each = [{**check.detail, "verdict": str(check.verdict)} for check in found]
    return replace(chosen, detail={**chosen.detail, "alerts": each})


def in_words(check: Check) -> str:
    """Every alert of a judgement with the rates of its two windows: what a person is shown."""
    return "; ".join(map(_alert_in_words, check.detail.get("alerts", ()))) or check.reason


def _alert_in_words(alert: Mapping[str, Any]) -> str:
    long, short = _span(alert["long_seconds"]), _span(alert["short_seconds"])
    rates = alert["long_burn_rate"], alert["short_burn_rate"]
    shown = ["no data" if rate is None else f"{rate:.3g}" for rate in rates]
    limit = f"{alert['severity']} {'FIRES, ' if alert['verdict'] == Verdict.FAIL else ''}above"
    return f"{shown[0]} in {long}, {shown[1]} in {short} ({limit} {alert['burn_rate']:g})"


def _judge(
    alert: BurnAlert,
    counts: Mapping[float, ArmCounts],
    objective_ratio: float,
    thin: Collection[float],
    lone: Collection[float],
) -> Check:
    nothing = ArmCounts(0, 0)
    spans = alert.long_seconds, alert.short_seconds
    long, short = (nothing if s in thin else counts.get(s, nothing) for s in spans)
    rates = burn_rate(long, objective_ratio), burn_rate(short, objective_ratio)
    check = Check(
        NAME,
        Verdict.PASS,
        _words(alert, long, rates, objective_ratio),
        "error-budget",
        value=rates[0],
        limit=alert.burn_rate,
        samples=long.total,
        window_seconds=alert.long_seconds,
        detail=_detail(alert, rates),
    )
    if rates[0] is None or rates[1] is None:
        return replace(check, verdict=Verdict.NO_DATA)
    if min(rates[0], rates[1]) <= alert.burn_rate:
        return check
    fires = long.bad >= MIN_BAD and alert.long_seconds not in lone
    return replace(check, verdict=Verdict.FAIL) if fires else check.as_undecided()


def _detail(alert: BurnAlert, rates: tuple[float | None, float | None]) -> dict[str, Any]:
    spent = None if rates[0] is None else rates[0] * alert.long_seconds / PERIOD_SECONDS
    return {**asdict(alert), "long_burn_rate": rates[0], "short_burn_rate": rates[1], "budget_spent": spent}


def _words(
    alert: BurnAlert, long: ArmCounts, rates: tuple[float | None, float | None], objective_ratio: float
) -> str:
    if rates[0] is None or rates[1] is None:
        silent = alert.long_seconds if rates[0] is None else alert.short_seconds
        return f"too few or no requests seen in the last {_span(silent)}: {alert.name} cannot be judged"
    return (
        f"{long.bad} of {long.total} bad in {_span(alert.long_seconds)}: the budget of "
        f"{100 * objective_ratio:.6g} % is spent at {rates[0]:.3g} times its speed, "
        f"{rates[1]:.3g} in the last {_span(alert.short_seconds)}; {alert.severity} at {alert.burn_rate:g}"
    )


def _span(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"
