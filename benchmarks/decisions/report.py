"""The table: what each rule did in each cell, beside what is aimed at.

Owns the words and figures of the table and of the page. Shares stand with their exact 95 % intervals.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.decisions.cells import Cell
from benchmarks.decisions.intervals import clopper_pearson
from benchmarks.decisions.results import Result, Results
from benchmarks.decisions.rules import OURS

GROUPS = {
    "good-20": "Good canaries, 20 replicas: rolled back",
    "good-small": "Good canaries, few replicas: rolled back",
    "slow-hardware": "Good canaries, the first canary replica's hardware 10 to 20 % slower: rolled back",
    "incident": "Good canaries, the first canary replica 1.5 to 3 times as slow for 20 to 60 s: rolled back",
    "faults-20": "Faults, 20 replicas: found, median seconds",
    "faults-1+1": "Faults, one canary and one baseline replica: found, median seconds",
    "faults-few": "Faults, 1 + 2 and 2 + 2 replicas: found, median seconds",
    "probes": "With paired probes, 1 + 1 replicas, a tenth of the traffic",
    "tail": "The tail alone: 2 % of requests take five times as long to their first token",
    "margin": "Within the margin, and NonInferior",
    "histograms-good": "Good canaries seen by replicas' metrics alone, in blocks of 10 s: rolled back",
    "histograms": "Faults seen by replicas' metrics alone, in blocks of 10 s: found, median seconds",
    "no-data": "No canary traffic at all: rolled back",
}


@dataclass(frozen=True)
class Figures:
    """Of one rule in one cell."""

    total: int
    rolled_back: int
    promoted: int
    median_seconds: float | None
    signals: Mapping[str, int]

    @property
    def held(self) -> int:
        return self.total - self.rolled_back - self.promoted


def figures(found: Sequence[Result], within_seconds: float = 1800.0) -> Figures:
    """Rollbacks count when they come in time."""
    back = [r for r in found if r.action == "ROLLBACK" and r.at_seconds <= within_seconds]
    signals: dict[str, int] = {}
    for result in back:
        signals[result.signal] = signals.get(result.signal, 0) + 1
    median = statistics.median(r.at_seconds for r in back) if back else None
    return Figures(len(found), len(back), sum(r.action == "PROMOTE" for r in found), median, signals)


def percent(hits: int, total: int) -> str:
    """A share with its interval, in percent."""
    if not total:
        return "-"
    low, high = clopper_pearson(hits, total)
    return f"{_short(100 * hits / total)} % ({_short(100 * low)}-{_short(100 * high)})"


def _short(value: float) -> str:
    """Two digits, or three of a hundred."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def table(cells: Sequence[Cell], results: Results, rules: Sequence[str], seeds: range) -> str:
    """Markdown, a table for each group that has a result; the rollouts of good canaries also together."""
    parts = []
    for group, title in GROUPS.items():
        mine = [c for c in cells if c.group == group]
        found = {cell: {rule: results.of(rule, cell.name, seeds) for rule in rules} for cell in mine}
        rows = [_row(cell, by_rule) for cell, by_rule in found.items() if any(by_rule.values())]
        if len(rows) > 1 and all(cell.good for cell in mine):
            rows.append(_together(found, rules))
        if rows:
            held = " held, promoted | why rolled back |" if OURS in rules else ""
            head = f"| cell | rollouts |{''.join(f' {rule} |' for rule in rules)}{held} aim |"
            parts.append("\n".join([f"## {title}", "", head, "|---" * (head.count("|") - 1) + "|", *rows]))
    return "\n\n".join(parts)


def _row(cell: Cell, found: Mapping[str, Sequence[Result]]) -> str:
    by_rule = {rule: figures(rs, cell.aim.within_seconds) for rule, rs in found.items()}
    return _line(cell.name, by_rule, _aim(cell, by_rule.get(OURS)))


def _together(found: Mapping[Cell, Mapping[str, Sequence[Result]]], rules: Sequence[str]) -> str:
    """All good canaries of a group."""
    by_rule = {rule: figures([r for one in found.values() for r in one[rule]]) for rule in rules}
    return _line("together", by_rule, "")


def _line(name: str, by_rule: Mapping[str, Figures], aim: str) -> str:
    total = max(found.total for found in by_rule.values())
    shown = "".join(f" {_shown(found)} |" for found in by_rule.values())
    ours = by_rule.get(OURS)
    held = "" if ours is None else f" {_held(ours)} |"
    return f"| {name} | {total} |{shown}{held} {aim} |"


def _held(ours: Figures) -> str:
    if not ours.total:
        return "- | -"
    why = ", ".join(f"{signal} {count}" for signal, count in sorted(ours.signals.items()))
    return f"{100 * ours.held / ours.total:.3g} %, {100 * ours.promoted / ours.total:.3g} % | {why}"


def _shown(found: Figures) -> str:
    text = percent(found.rolled_back, found.total)
    return text if found.median_seconds is None else f"{text} @ {found.median_seconds:.0f}"


def _aim(cell: Cell, ours: Figures | None) -> str:
    """What is aimed at, and whether our point estimates are there."""
    aim, parts, met = cell.aim, [], True
    share = ours.rolled_back / ours.total if ours and ours.total else None
    if aim.most_rolled_back is not None:
        parts.append(f"<= {100 * aim.most_rolled_back:g} %")
        met &= share is None or share <= aim.most_rolled_back
    if aim.least_found is not None:
        parts.append(f">= {100 * aim.least_found:g} %")
        met &= share is None or share >= aim.least_found
    if aim.most_median_seconds is not None:
        parts.append(f"@ <= {aim.most_median_seconds:g}")
        median = ours.median_seconds if ours else None
        met &= share is None or (median is not None and median <= aim.most_median_seconds)
    if aim.most_promoted is not None:
        parts.append(f"promoted <= {100 * aim.most_promoted:g} %")
        met &= not (ours and ours.total) or ours.promoted / ours.total <= aim.most_promoted
    if not parts:
        return ""
    return ", ".join(parts) + ("" if share is None else ": met" if met else ": NOT met")


def costs(cells: Sequence[Cell], results: Results, rules: Sequence[str], seeds: range) -> str:
    """CPU milliseconds a rollout: making it, and each rule's judging; means."""
    rows = ["| cell | made |" + "".join(f" {rule} |" for rule in rules), "|---" * (len(rules) + 2) + "|"]
    for cell in cells:
        found = {rule: results.of(rule, cell.name, seeds) for rule in rules}
        made = [r.generate_cpu_seconds for one in found.values() for r in one]
        if made:
            judged = [_mean_ms([r.judge_cpu_seconds for r in found[rule]]) for rule in rules]
            rows.append(f"| {cell.name} | {_mean_ms(made)} |" + "".join(f" {text} |" for text in judged))
    return "\n".join(rows)


def _mean_ms(seconds: Sequence[float]) -> str:
    return f"{1000 * statistics.mean(seconds):.1f}" if seconds else "-"


def write_page(path: Path, tables: str, purpose: str, seeds: range, versions: str) -> None:
    """The page with its tables, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = _PAGE.format(tables=tables, purpose=purpose, first=seeds[0], last=seeds[-1], versions=versions)
    path.write_text(page, encoding="utf-8")


_PAGE = """# How often the engine is wrong about good canaries, and how soon it finds bad ones

Written by `make bench-decisions`; edit benchmarks/decisions/report.py instead.

Cells are replicas of canary + baseline (20: 1 + 19, then 5 + 15), canary requests in the step at 5 %
(L about 50, M 500, H 5,000; five times that in the step at 25 %), and what happens. Each step takes 900 s.
Shares are of rollouts that were rolled back, with exact 95 % intervals (Clopper and Pearson), and the median
second of those rollbacks. Every rule saw the same rollouts: {purpose} seeds {first} to {last}. {versions}

Peers, as in their sources, configured as in their documentation where that says anything of such a service:

- `flagger`: interval 1 m, threshold 10, success rate >= 99 %; p99 of TTFT instead of its 500 ms.
- `flagger-5`: the same with threshold 5, as in most of its tutorials.
- `argo`: background analysis every 5 m, failureLimit 3, success rate >= 95 % by irate; p99 of TTFT.
- `argo-steps`: an analysis after 5 m at each weight, 5 measurements 60 s apart, failureLimit 0; same metrics.
- `kayenta`: error ratio, mean TTFT, mean ITL every 60 s, each its own group; a run every 10 m; 75 and 95.

The limit of TTFT is 1.5 times the baseline's p99 in the ten minutes before the rollout, from vLLM's buckets.

{tables}
"""
