"""What a person sees of the demo: a line for each thing that happens, and the table at the end.

Colours only on a terminal. Text from the cluster is shown escaped.
"""

import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from guard.core.text import one_line
from guard.demo.rollouts import Outcome
from guard.demo.users import Tally

_STYLES = {
    "Promoted": "bold green",
    "RolledBack": "bold red",
    "ObjectiveFailed": "red",
    "StepEntered": "cyan",
    "Quiet": "green",
    "Analysing": "dim",
}


class Show:
    """Prints to stderr's terminal or pipe; times are seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/bold]", highlight=False, soft_wrap=True)

    def line(self, kind: str, message: str) -> None:
        style = _STYLES.get(kind)
        word = f"[{style}]{kind:<22}[/{style}]" if style else f"{kind:<22}"
        at = time.monotonic() - self._start
        self._console.print(
            f"{at:6.1f} s  {word} {escape(one_line(message))}", highlight=False, soft_wrap=True
        )

    def table(self, outcomes: Sequence[tuple[Outcome, Tally]]) -> None:
        """The table of the end."""
        table = Table(title="Rollouts", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for name in ("rollout", "verdict", "action", "decided by"):
            table.add_column(name, no_wrap=True)
        for name in ("last new\nrequest", "failed by\nthe fault", "failed\nby us"):
            table.add_column(name, justify="right", no_wrap=True)
        for outcome, tally in outcomes:
            table.add_row(*_cells(outcome, tally))
        self._console.print()
        self._console.print(table)
        self._console.print(
            "Last new request: how long after the deciding sample a user's request still began on the\n"
            "canary. Failed: of the users' requests during the rollout, those refused by the canary\n"
            "itself, and those lost by a rollback or promotion.",
            style="dim",
            highlight=False,
        )

    def reports(self, outcomes: Sequence[tuple[Outcome, Tally]]) -> None:
        self._console.print("Reports:")
        for outcome, _ in outcomes:
            self._console.print(
                f"  {outcome.rollout.name:<16} {outcome.status['evidence']}/report.html",
                highlight=False,
                soft_wrap=True,
            )


def _cells(outcome: Outcome, tally: Tally) -> tuple[str, ...]:
    status = outcome.status
    decision = status.get("decision") or {}
    seconds = ((status.get("rollback") or {}).get("seconds") or {}).get("fromDecidingSample")
    reason = status["reason"]
    colour = "green" if reason == "Promoted" else "red"
    return (
        outcome.rollout.name,
        str(status.get("verdict")),
        f"[{colour}]{reason}[/{colour}]",
        escape(one_line(decision.get("signal") or "-")),
        f"{float(seconds):.2f} s"
        if seconds is not None
        else "no traffic"
        if not outcome.highest_weight
        else "-",
        f"{tally.by_fault} of {tally.requests}",
        str(tally.by_action),
    )
