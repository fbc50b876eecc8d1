"""The short table of checks at the end of a run in a terminal."""

from collections.abc import Sequence
from typing import Any

from guard.core.check import Check, SuiteResult
from guard.core.text import one_line

_COLUMNS = ("verdict", "check", "value", "baseline", "limit", "samples", "reason")
_COLOURS = {"PASS": "green", "FAIL": "red", "ERROR": "red", "NO_DATA": "yellow", "INCONCLUSIVE": "yellow"}


def write_summary(reporter: Any, results: Sequence[SuiteResult]) -> None:
    """One table a suite, then its verdict. pytest's reporter drops the colours where it is no terminal."""
    for result in results:
        reporter.section(f"tidegate {result.suite}", sep="-")
        rows = [_row(check) for check in result.checks]
        widths = [max(len(row[i]) for row in (_COLUMNS, *rows)) for i in range(len(_COLUMNS) - 1)]
        reporter.write_line(_line(_COLUMNS, widths))
        for row in rows:
            reporter.write_line(_line(row, widths), **{_COLOURS.get(row[0], "light"): True})
        if result.error:
            reporter.write_line(f"broke: {one_line(result.error)}", red=True)
        reporter.write_line(f"{result.suite}: {result.verdict}", bold=True)


def _row(check: Check) -> tuple[str, ...]:
    numbers = (_number(n, check.unit) for n in (check.value, check.baseline_value, check.limit))
    samples = "" if check.samples is None else str(check.samples)
    return (str(check.verdict), one_line(check.name), *numbers, samples, one_line(check.reason))


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    match unit:
        case "seconds":
            return f"{value:.3g} s"
        case "ratio":
            return f"{100 * value:.3g} %"
        case _:
            return f"{value:g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()
