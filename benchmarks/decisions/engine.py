"""Our side: the live engine, driven as `tidegate replay` drives it.

Owns only the way from a simulated rollout to the one that the engine reads: requests one by one, or the
replicas' counters and histograms in their place. The engine sees every tick of 5 s and nothing later.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.decisions import rollout as form
from benchmarks.decisions.decision import Decision, Said, Settings
from benchmarks.decisions.histograms import Blocks, blocks
from benchmarks.decisions.rollout import Bools, Rollout
from guard.core import rollout as live
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.histogram_blocks import HistogramBlock, in_buckets
from guard.core.observations import BAD, OK
from guard.core.replay import replay
from guard.core.samples import Arm, Source

SIGNALS = ("ttft", "itl", "errors")
SOURCES = {form.USER: Source.SIMULATED, form.PROBE: Source.PROBE}


def judge(columns: Rollout, settings: Settings) -> Decision:
    """The engine's first irreversible action, when, and by which signal."""
    found = replay(recorded(columns, settings))
    said = {check["signal"]: _said(check) for check in found.evidence["checks"] if check["signal"] in SIGNALS}
    return Decision(found.action, found.at_seconds, found.signal or "", str(found.verdict), said)


def _said(check: Mapping[str, Any]) -> Said:
    detail = check["detail"]
    low, high = detail.get("interval_95") or (None, None)
    return Said(check["value"], low, high, detail.get("smallest_ratio_found"))


def recorded(columns: Rollout, settings: Settings) -> live.Rollout:
    """The rollout as the engine reads it."""
    requests = columns.requests
    present = {
        source: requests.source == code for code, source in SOURCES.items() if (requests.source == code).any()
    }
    seconds = settings.histogram_seconds
    found = blocks(columns, seconds) if seconds else None
    if found is not None:
        present.pop(Source.SIMULATED, None)
    items = columns.evals
    return live.Rollout(
        steps=tuple(
            live.RecordedStep(s.start_seconds, s.weight_percent, s.canary_replicas, s.baseline_replicas)
            for s in columns.steps
        ),
        end_seconds=columns.end_seconds,
        baseline_from_seconds=columns.baseline_from_seconds,
        requests={source: _log(columns, rows) for source, rows in present.items()},
        replicas=tuple((name.split("-")[0], name) for name in columns.replicas),
        blocks=_counters(columns, found, seconds) if found and seconds else (),
        histograms=_histograms(columns, found, seconds) if found and seconds else (),
        events=tuple(
            PodEvent(e.at, Arm.CANARY if e.canary else Arm.BASELINE, e.replica, e.kind, "")
            for e in columns.events
        ),
        evals=live.EvalLog(
            items.answered_at,
            [str(item) for item in range(len(items.answered_at))],
            items.baseline_pass,
            items.canary_pass,
        ),
        settings=live.ReplaySettings(alpha=settings.alpha, policy=settings.policy),
    )


def _counters(columns: Rollout, found: Blocks, seconds: float) -> tuple[CounterBlock, ...]:
    """Requests and errors of each replica and block, in order of time."""
    counted: dict[tuple[float, int], dict[str, int]] = {}
    for row, signal in enumerate(found.signal):
        if signal in ("requests", "errors"):
            place = (float(found.start[row]), int(found.replica[row]))
            counted.setdefault(place, {})[signal] = int(found.count[row])
    return tuple(
        CounterBlock(
            Source.SIMULATED,
            _arm(columns, replica),
            columns.replicas[replica],
            start,
            seconds,
            counts["requests"],
            {"error": counts["errors"]} if "errors" in counts else {},
        )
        for (start, replica), counts in sorted(counted.items())
    )


def _histograms(columns: Rollout, found: Blocks, seconds: float) -> tuple[HistogramBlock, ...]:
    """Histograms of each replica and block, in order of time."""
    made = []
    signals = np.array(found.signal)
    for signal in ("ttft", "itl"):
        rows = np.flatnonzero(signals == signal)
        size = int(np.argmax(np.isinf(found.le[rows]))) + 1 if len(rows) else 1
        for row in rows[::size].tolist():
            counts = in_buckets(found.count[row : row + size].tolist())
            edges = tuple(found.le[row : row + size - 1].tolist())
            replica, start = int(found.replica[row]), float(found.start[row])
            arm, name = _arm(columns, replica), columns.replicas[replica]
            total = float(found.sum[row + size - 1])
            made.append(
                HistogramBlock(Source.SIMULATED, arm, name, signal, start, seconds, edges, counts, total)
            )
    return tuple(sorted(made, key=lambda block: block.start))


def _arm(columns: Rollout, replica: int) -> Arm:
    return Arm(columns.replicas[replica].split("-")[0])


def _log(columns: Rollout, rows: Bools) -> live.RequestLog:
    requests = columns.requests
    sent_at = requests.sent_at[rows]
    return live.RequestLog(
        known=sent_at,
        started=sent_at,
        canary=requests.canary[rows],
        replica=requests.replica[rows],
        pair=requests.pair[rows].astype(np.int32),
        first_token=requests.first_token_at[rows],
        finished=requests.finished_at[rows],
        itl_mean=requests.itl_mean[rows],
        output_tokens=requests.output_tokens[rows].astype(np.float64),
        outcome=np.where(requests.outcome[rows] == form.OK, OK, BAD).astype(np.int8),
    )
