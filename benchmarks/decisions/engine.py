"""Our side: the live engine, driven as `tidegate replay` drives it.

Owns only the way from a simulated rollout to the one that the engine reads. The engine sees every tick of
5 s and nothing that came later.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.decisions import rollout as form
from benchmarks.decisions.decision import Decision, Said, Settings
from benchmarks.decisions.rollout import Bools, Rollout
from guard.core import rollout as recorded
from guard.core.blocks import PodEvent
from guard.core.observations import BAD, OK
from guard.core.replay import replay
from guard.core.samples import Arm, Source

SIGNALS = ("ttft", "itl", "errors")
SOURCES = {form.USER: Source.SIMULATED, form.PROBE: Source.PROBE}


def judge(columns: Rollout, settings: Settings) -> Decision:
    """The engine's first irreversible action, when, and by which signal."""
    found = replay(_recorded(columns, settings))
    said = {check["signal"]: _said(check) for check in found.evidence["checks"] if check["signal"] in SIGNALS}
    return Decision(found.action, found.at_seconds, found.signal or "", str(found.verdict), said)


def _said(check: Mapping[str, Any]) -> Said:
    detail = check["detail"]
    low, high = detail.get("interval_95") or (None, None)
    return Said(check["value"], low, high, detail.get("smallest_ratio_found"))


def _recorded(columns: Rollout, settings: Settings) -> recorded.Rollout:
    requests = columns.requests
    present = {
        source: requests.source == code for code, source in SOURCES.items() if (requests.source == code).any()
    }
    items = columns.evals
    return recorded.Rollout(
        steps=tuple(
            recorded.RecordedStep(s.start_seconds, s.weight_percent, s.canary_replicas, s.baseline_replicas)
            for s in columns.steps
        ),
        end_seconds=columns.end_seconds,
        baseline_from_seconds=columns.baseline_from_seconds,
        requests={source: _log(columns, rows) for source, rows in present.items()},
        replicas=tuple((name.split("-")[0], name) for name in columns.replicas),
        events=tuple(
            PodEvent(e.at, Arm.CANARY if e.canary else Arm.BASELINE, e.replica, e.kind, "")
            for e in columns.events
        ),
        evals=recorded.EvalLog(
            items.answered_at,
            [str(item) for item in range(len(items.answered_at))],
            items.baseline_pass,
            items.canary_pass,
        ),
        settings=recorded.ReplaySettings(alpha=settings.alpha, policy=settings.policy),
    )


def _log(columns: Rollout, rows: Bools) -> recorded.RequestLog:
    requests = columns.requests
    sent_at = requests.sent_at[rows]
    return recorded.RequestLog(
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
