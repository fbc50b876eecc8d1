"""What the engine said of effects, against what is true: intervals that cover it, and power that it claimed.

Owns the second table. A rollout that was rolled back was looked at when its evidence was greatest, so its
interval covers the truth less often than 95 %; one that ran to its end has no such excuse.
"""

import statistics
from collections.abc import Sequence

from benchmarks.decisions.cells import Cell
from benchmarks.decisions.faults import FAULTS
from benchmarks.decisions.report import percent
from benchmarks.decisions.results import Result, Results
from benchmarks.decisions.rules import OURS

SIGNALS = ("ttft", "itl", "errors")
TITLE = "What the engine said: intervals that cover the true effect; smallest effect it would have found"


def table(cells: Sequence[Cell], results: Results, seeds: range) -> str:
    """Markdown; a row for each cell in which something was said."""
    head = "| cell | TTFT covered, rolled back | not | ITL covered, rolled back | not | would find |"
    rows = [row for cell in cells if (row := _row(cell, results.of(OURS, cell.name, seeds)))]
    return "\n".join([f"## {TITLE}", "", head, "|---" * 6 + "|", *rows]) if rows else ""


def _row(cell: Cell, found: Sequence[Result]) -> str:
    back = [r for r in found if r.action == "ROLLBACK"]
    rest = [r for r in found if r.action != "ROLLBACK"]
    truth = FAULTS[cell.scenario.fault].truth
    if not truth or cell.scenario.cold or cell.scenario.incident or cell.scenario.slow_canary:
        return ""  # no one number is true of these
    shown = [_covered(some, signal, truth[signal]) for signal in ("ttft", "itl") for some in (back, rest)]
    found_80 = ", ".join(text for signal in SIGNALS if (text := _would_find(rest, signal)))
    return f"| {cell.name} | {' | '.join(shown)} | {found_80} |" if any(s != "-" for s in shown) else ""


def _covered(found: Sequence[Result], signal: str, truth: float) -> str:
    said = [r.said[signal] for r in found if signal in r.said]
    known = [s for s in said if s["low"] is not None and s["high"] is not None]
    return percent(sum(s["low"] <= truth <= s["high"] for s in known), len(known))


def _would_find(found: Sequence[Result], signal: str) -> str:
    """Median of what was claimed; empty where nothing was."""
    said = [r.said[signal]["would_find"] for r in found if signal in r.said]
    known = [s for s in said if s is not None]
    if not known:
        return ""
    middle = statistics.median(known)
    return f"errors {100 * middle:.1f} %" if signal == "errors" else f"{signal} x{middle:.2f}"
