"""The eval suite's verdict, formed once from all rows, whichever worker asked.

Owns pairing, what is written beside the result, and what is said without a baseline. The test itself is
`guard.core.comparison.judge_pairs`.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from guard.core.binomial import mcnemar_p
from guard.core.check import Check
from guard.core.comparison import PAIRED_ALPHA, PairedItem, judge_pairs
from guard.core.samples import Arm, Outcome
from guard.core.verdict import NotJudged, Verdict
from suites.judge import Found
from suites.options import RunOptions
from suites.session import settings_of

EVALS_SCHEMA = pa.schema(
    [
        ("answered_at", pa.float64()),
        ("item", pa.string()),
        ("baseline_pass", pa.bool_()),
        ("canary_pass", pa.bool_()),
    ]
)

Row = Mapping[str, Any]
Pair = Mapping[str, Row]  # arm -> row


def finish(found: Found, options: RunOptions) -> None:
    """Add the suite's checks, and write eval-answers.jsonl and evals.parquet where there is a place."""
    rows = sorted(found.records, key=lambda row: (row["index"], row["arm"]))
    if not rows:
        return  # nothing was asked: the checks or errors that are there say why
    by_item: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_item[row["item"]][row["arm"]] = row
    pairs = list(by_item.values())
    checks = [_answered(pairs), _compared(pairs, options)]
    found.checks |= {check.name: check for check in checks}
    if options.out is not None:
        found.files |= _write(options.out, rows, _graded(pairs))


def _answered(pairs: Sequence[Pair]) -> Check:
    """Did the candidate answer, as the baseline did? An HTTP error or a broken stream is no answer.

    FAIL by the exact McNemar test of the paired items at .01, or without a baseline when none was answered.
    Nothing compares the answers then; but none right of all is no PASS, whoever is to blame: INCONCLUSIVE.
    """
    silent = {arm: [pair[arm]["outcome"] != Outcome.OK for pair in pairs if arm in pair] for arm in Arm}
    canary, baseline = silent[Arm.CANARY], silent[Arm.BASELINE]
    both = list(zip(baseline, canary, strict=False))
    lost, won = both.count((False, True)), both.count((True, False))
    p_value = mcnemar_p(lost, won) if both else None
    reason = f"the candidate left {sum(canary)} of {len(canary)} items without an answer"
    reason += f", the baseline {sum(baseline)}" if both else ""
    verdict = _answered_verdict(sum(canary), len(canary), lost, won, p_value)
    if verdict is Verdict.PASS and not both and not any(pair[Arm.CANARY]["passed"] for pair in pairs):
        verdict = Verdict.INCONCLUSIVE
        reason += f"; 0 of {len(pairs)} right: nothing to go by without a baseline"
    errors = {str(pair[Arm.CANARY]["error"]) for pair in pairs if pair[Arm.CANARY]["error"]}
    return Check(
        "eval-answered",
        verdict,
        reason,
        "errors",
        value=sum(canary) / len(canary),
        limit=0,
        baseline_value=sum(baseline) / len(baseline) if both else None,
        unit="ratio",
        samples=len(canary),
        window_seconds=_window(pairs),
        p_value=p_value,
        detail={"errors": sorted(errors)[:5]},
    )


def _answered_verdict(silent: int, items: int, lost: int, won: int, p_value: float | None) -> Verdict:
    if silent == 0:
        return Verdict.PASS
    if silent == items if p_value is None else p_value <= PAIRED_ALPHA:
        return Verdict.FAIL
    if p_value is not None and lost <= won:
        return Verdict.PASS  # no worse than the baseline
    return Verdict.INCONCLUSIVE


def _compared(pairs: Sequence[Pair], options: RunOptions) -> Check:
    detail = {"families": _by_family(pairs)}
    if options.baseline is None:
        return _not_compared(pairs, detail)
    graded = _graded(pairs)
    paired = [
        PairedItem(pair[Arm.CANARY]["item"], pair[Arm.BASELINE]["passed"], pair[Arm.CANARY]["passed"])
        for pair in graded
    ]
    min_items = settings_of(options, "eval").min_items
    check = judge_pairs(paired, policy=options.config.policy, min_items=min_items)
    return replace(check, window_seconds=_window(graded), detail={**check.detail, **detail})


def _not_compared(pairs: Sequence[Pair], detail: Mapping[str, Any]) -> Check:
    passed = (pair[Arm.CANARY]["passed"] for pair in pairs)
    graded = [one for one in passed if one is not None]
    reason = f"not compared, there is no baseline: the candidate passes {sum(graded)} of {len(graded)} items"
    return Check(
        "eval-paired",
        NotJudged.NOT_COMPARED,
        reason,
        "quality",
        value=sum(graded) / len(graded) if graded else None,
        unit="ratio",
        samples=len(graded),
        window_seconds=_window(pairs),
        detail=detail,
    )


def _window(pairs: Sequence[Pair]) -> float | None:
    """From the first question's start to the last answer; of one that was asked again, the last time."""
    rows = [row for pair in pairs for row in pair.values()]
    starts = [row["answered_at"] - (row["e2e_seconds"] or 0.0) for row in rows]
    return max(row["answered_at"] for row in rows) - min(starts) if rows else None


def _by_family(pairs: Sequence[Pair]) -> dict[str, dict[str, dict[str, int]]]:
    """family -> arm -> items passed and graded. For people; the verdict is over all items."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for row in (row for pair in pairs for row in pair.values() if row["passed"] is not None):
        count = counts.setdefault(row["family"], {}).setdefault(row["arm"], {"passed": 0, "graded": 0})
        count["passed"] += row["passed"]
        count["graded"] += 1
    return counts


def _graded(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs of which both answers were graded."""
    both = (pair for pair in pairs if len(pair) == len(Arm))
    return [pair for pair in both if all(row["passed"] is not None for row in pair.values())]


def _write(folder: Path, rows: Sequence[Row], pairs: Sequence[Pair]) -> dict[str, str]:
    """The raw answers, and the pairs in the columns of a recorded rollout (times here are Unix seconds)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=True, allow_nan=False) for row in rows)
    (folder / "eval-answers.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    table = pa.Table.from_pylist(
        [
            {
                "answered_at": max(row["answered_at"] for row in pair.values()),
                "item": pair[Arm.CANARY]["item"],
                "baseline_pass": pair[Arm.BASELINE]["passed"],
                "canary_pass": pair[Arm.CANARY]["passed"],
            }
            for pair in pairs
        ],
        schema=EVALS_SCHEMA,
    )
    pq.write_table(table, folder / "evals.parquet")
    return {"answers": "eval-answers.jsonl", "evals": "evals.parquet"}
