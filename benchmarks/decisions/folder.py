"""A simulated rollout as the folder that `tidegate replay` reads.

Owns the words in the files (DESIGN section 12). Refuses to overwrite a folder.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.decisions.histograms import blocks
from benchmarks.decisions.rollout import OUTCOMES, SOURCES, Event, Requests, Rollout


def write(rollout: Rollout, folder: Path, histogram_seconds: float | None = None) -> None:
    """All of it.

    Args:
        histogram_seconds: Length of the blocks of vLLM's metrics that stand in place of the requests.

    Raises:
        FileExistsError: The folder is there already.
    """
    folder.mkdir(parents=True)
    document = {
        "format_version": 1,
        "steps": [
            {"start_seconds": s.start_seconds, "weight_percent": s.weight_percent} for s in rollout.steps
        ],
        "end_seconds": rollout.end_seconds,
        "baseline_from_seconds": rollout.baseline_from_seconds,
        "canary_replicas": [s.canary_replicas for s in rollout.steps],
        "baseline_replicas": [s.baseline_replicas for s in rollout.steps],
    }
    (folder / "rollout.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if histogram_seconds is None:
        pq.write_table(requests_table(rollout.requests, rollout.replicas), folder / "requests.parquet")
    else:
        pq.write_table(blocks_table(rollout, histogram_seconds), folder / "blocks.parquet")
    pq.write_table(events_table(rollout.events), folder / "events.parquet")
    items = rollout.evals
    evals = pa.table(
        {
            "answered_at": items.answered_at,
            "item": np.arange(len(items.answered_at)),
            "baseline_pass": items.baseline_pass,
            "canary_pass": items.canary_pass,
        }
    )
    pq.write_table(evals, folder / "evals.parquet")


def requests_table(requests: Requests, replicas: tuple[str, ...]) -> pa.Table:
    """The columns of section 12 that the simulator knows."""
    first = requests.first_token_at
    return pa.table(
        {
            "request_id": [f"r{row}" for row in range(len(requests))],
            "source": np.array(SOURCES)[requests.source],
            "pair_id": pa.array([f"p{pair}" if pair >= 0 else None for pair in requests.pair.tolist()]),
            "arm": np.where(requests.canary, "canary", "baseline"),
            "replica": np.array(replicas)[requests.replica],
            "weight_percent": requests.weight_percent,
            "sent_at": requests.sent_at,
            "first_token_at": pa.array(first, mask=np.isnan(first)),
            "itl_mean_seconds": pa.array(requests.itl_mean, mask=np.isnan(requests.itl_mean)),
            "finished_at": requests.finished_at,
            "prompt_tokens": requests.prompt_tokens,
            "cached_tokens": requests.cached_tokens,
            "output_tokens": requests.output_tokens,
            "outcome": np.array(OUTCOMES)[requests.outcome],
        }
    )


def blocks_table(rollout: Rollout, seconds: float) -> pa.Table:
    """Counters and histograms of each replica."""
    found = blocks(rollout, seconds)
    names = np.array(rollout.replicas)[found.replica]
    return pa.table(
        {
            "source": pa.array(["simulated"] * len(names)),
            "arm": pa.array([name.split("-")[0] for name in names.tolist()]),
            "replica": names,
            "start": found.start,
            "seconds": np.full(len(names), seconds),
            "signal": pa.array(found.signal),
            "le": pa.array(found.le, mask=np.isnan(found.le)),
            "count": found.count,
            "sum": pa.array(found.sum, mask=np.isnan(found.sum)),
        }
    )


def events_table(events: tuple[Event, ...]) -> pa.Table:
    """Pod events."""
    return pa.table(
        {
            "at": pa.array([e.at for e in events], pa.float64()),
            "arm": pa.array(["canary" if e.canary else "baseline" for e in events], pa.string()),
            "replica": pa.array([e.replica for e in events], pa.string()),
            "kind": pa.array([e.kind for e in events], pa.string()),
            "detail": pa.array(["" for _ in events], pa.string()),
        }
    )
