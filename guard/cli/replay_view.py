"""How a replay looks on a terminal: what was recorded, the turning points, and the decision last.

Owns words and columns; judges nothing. Text of recorded files is made harmless before it is shown.
"""

import shutil
import sys
from collections.abc import Mapping

import click

from guard.core.replay import Decision, Moment, e_value_text
from guard.core.rollout import RecordedStep, Rollout
from guard.core.text import one_line
from guard.core.turning_points import turning_points
from guard.core.verdict import Verdict

_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "magenta",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NO_DATA: "yellow",
}
_NARROWEST, _WIDEST = 80, 160


class ProgressLine:
    """Call it with each tick; one line redrawn on a terminal, and nothing elsewhere."""

    def __init__(self, end_seconds: float) -> None:
        self._end = end_seconds
        self._redraws = sys.stderr.isatty()
        self._shown = float("-inf")

    def __call__(self, moment: Moment) -> None:
        if self._redraws and moment.at_seconds - self._shown >= self._end / 50:
            self._shown = moment.at_seconds
            line = f"judging {moment.at_seconds:.0f} of {self._end:.0f} s: {moment.verdict}"
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    def close(self) -> None:
        if self._redraws:
            click.echo("\r\x1b[K", nl=False, err=True)


def summary(name: str, rollout: Rollout) -> str:
    """What was recorded, and what of it could not be used."""
    weights = ", ".join(
        f"{step.weight_percent} % from {step.start_seconds:.0f} s{_fleet(step)}" for step in rollout.steps
    )
    counts = [f"{len(log)} requests ({source})" for source, log in rollout.requests.items()]
    others = {
        "blocks": len(rollout.blocks),
        "events": len(rollout.events),
        "eval items": len(rollout.evals.items),
    }
    counts += [f"{n} {what}" for what, n in others.items() if n]
    lines = [
        f"{one_line(name)}: {weights}, until {rollout.end_seconds:.0f} s",
        f"recorded: {', '.join(counts) or 'nothing'}"
        + (f"; no {', '.join(rollout.missing)}" if rollout.missing else ""),
    ]
    lines += [f"{what}: {_counts(rows)}" for what, rows in _left_out(rollout) if rows]
    return "\n".join(lines)


def _fleet(step: RecordedStep) -> str:
    canary, baseline = step.canary_replicas, step.baseline_replicas
    return "" if canary is None or baseline is None else f" ({canary}+{baseline} replicas)"


def _left_out(rollout: Rollout) -> tuple[tuple[str, Mapping[str, int]], ...]:
    return ("dropped", rollout.dropped), ("not judged by any rule", rollout.unused)


def _counts(rows: Mapping[str, int]) -> str:
    return one_line("; ".join(f"{n} {what}" for what, n in rows.items()), 1000)


def table(decision: Decision) -> str:
    """The turning points, a line each."""
    threshold = decision.evidence["threshold"]
    width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((120, 24)).columns))
    head = f"{'at':>7} {'weight':>7} {'verdict':<12} {'evidence':>9} {'canary':>7}  why"
    points = turning_points(decision.timeline, threshold)
    return "\n".join([click.style(head, dim=True), *(_row(moment, width) for moment in points)])


def _row(moment: Moment, width: int) -> str:
    verdict = click.style(f"{moment.verdict:<12}", fg=_COLOURS[moment.verdict])
    figures = f"{e_value_text(moment.evidence):>9} {moment.canary_requests:>7}"
    start = f"{moment.at_seconds:>5.0f} s {moment.weight_percent:>5} % {verdict} {figures}  "
    return start + one_line(moment.reason or "nothing speaks against it", width - 49)


def last_line(decision: Decision) -> str:
    """`FAIL: ROLLBACK at 430 s by ttft: ...`"""
    why = f" by {decision.signal}" if decision.signal and decision.action == "ROLLBACK" else ""
    verdict = click.style(str(decision.verdict), fg=_COLOURS[decision.verdict], bold=True)
    return (
        f"{verdict}: {decision.action} at {decision.at_seconds:.0f} s{why}: {one_line(decision.words, 1000)}"
    )
