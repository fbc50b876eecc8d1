"""How a load looks on a terminal: one line while it runs, one block an arm when it is over.

Owns words and columns; measures nothing. Text of servers is made harmless before it is shown.
"""

import sys
from collections.abc import Mapping, Sequence

import click

from guard.core.latency import LoadSummary, Quantiles
from guard.core.samples import Arm, Outcome, RequestSample
from guard.core.text import one_line
from guard.load.run import Progress

_SPARSE_SECONDS = 5.0  # between two lines where no line can be redrawn


class ProgressLine:
    """Call it with each `Progress`. One line redrawn on a terminal; a line every 5 s elsewhere."""

    def __init__(self, duration_seconds: float) -> None:
        self._duration = duration_seconds
        self._redraws = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        if self._redraws:
            click.echo(f"\r\x1b[K{self._line(progress)}", nl=False, err=True)
        elif progress.elapsed_seconds >= self._next:
            self._next = progress.elapsed_seconds + _SPARSE_SECONDS
            click.echo(self._line(progress), err=True)

    def close(self) -> None:
        """Leave the terminal at the start of an empty line."""
        if self._redraws:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _line(self, progress: Progress) -> str:
        arms = []
        for arm, counts in progress.arms.items():
            p50 = "-" if counts.ttft_seconds_p50 is None else _ms(counts.ttft_seconds_p50)
            failed = f", {counts.failed} failed" if counts.failed else ""
            arms.append(f"{arm}: {counts.finished} of {counts.sent} ended{failed}, TTFT p50 {p50} ms")
        at = min(progress.elapsed_seconds, self._duration)
        return f"{at:3.0f}/{self._duration:.0f} s  {'  |  '.join(arms)}"


def block(arm: Arm, url: str, summary: LoadSummary, samples: Sequence[RequestSample]) -> str:
    """One arm: what became of its requests, and its latencies in milliseconds."""
    lines = [f"{arm}  {one_line(url)}", f"  {_counts(summary)}"]
    if summary.failed:
        lines.append(f"  failed: {_failures(summary.failed, samples)}")
    lines.append(f"  {'ms':<6}{'p50':>10}{'p90':>10}{'p95':>10}{'p99':>10}{'n':>8}")
    measures = (("TTFT", summary.ttft), ("ITL", summary.itl), ("TPOT", summary.tpot), ("E2E", summary.e2e))
    return "\n".join([*lines, *(f"  {name:<6}{_row(values)}" for name, values in measures)])


def _counts(summary: LoadSummary) -> str:
    parts = [f"{summary.ok} of {summary.requests} requests ok"]
    if summary.waiting:
        parts.append(f"{summary.waiting} given up in flight")
    if summary.requests_per_second is not None:
        parts.append(f"{summary.requests_per_second:.3g} requests/s")
    if summary.output_tokens_per_second is not None:
        parts.append(f"{summary.output_tokens_per_second:.4g} output tokens/s")
    if (good := summary.goodput) is not None:
        rate = "" if good.requests_per_second is None else f", {good.requests_per_second:.3g}/s"
        parts.append(f"goodput {100 * good.ratio:.1f} % ({good.met} of {good.total}{rate})")
    return ", ".join(parts)


def _failures(failed: Mapping[str, int], samples: Sequence[RequestSample]) -> str:
    parts = []
    for kind, count in failed.items():
        first = next(s for s in samples if s.outcome is Outcome(kind))
        parts.append(f"{count} {kind} (first: {one_line(first.error or 'no reason given', 120)})")
    return ", ".join(parts)


def _row(values: Quantiles | None) -> str:
    if values is None:
        return "".join(f"{'-':>10}" for _ in range(4)) + f"{0:>8}"
    shown = (values.p50, values.p90, values.p95, values.p99)
    return "".join(f"{_ms(seconds):>10}" for seconds in shown) + f"{values.samples:>8}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"
