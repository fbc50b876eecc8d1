"""A recorded rollout's folder, written: by a guard of each Change, and by whoever simulates.

Owns what `rollout_folder` reads: rollout.json's keys, the tables' columns, and that all times are seconds
since the first step. Refuses to judge.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from guard.adapters.artifacts import check_replaceable, replace_file
from guard.adapters.requests_file import write_requests
from guard.adapters.rollout_folder import FORMAT_VERSION, ROLLOUT
from guard.adapters.rollout_histograms import histogram_rows
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem
from guard.core.histogram_blocks import HistogramBlock
from guard.core.rollout import RecordedStep
from guard.core.samples import RequestSample


def rollout_document(
    steps: Sequence[RecordedStep],
    end_seconds: float,
    baseline_from_seconds: float,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """rollout.json; replicas are left out where a step does not know them.

    Args:
        settings: A `ReplaySettings` document, or a whole Guard's.
    """
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "steps": [
            {"start_seconds": step.start_seconds, "weight_percent": step.weight_percent} for step in steps
        ],
        "end_seconds": end_seconds,
        "baseline_from_seconds": baseline_from_seconds,
    }
    for arm in ("canary", "baseline"):
        replicas = [getattr(step, f"{arm}_replicas") for step in steps]
        if None not in replicas:
            document[f"{arm}_replicas"] = replicas
    return document if settings is None else {**document, "settings": dict(settings)}


def write_rollout(folder: Path, document: Mapping[str, Any], **tables: Any) -> None:
    """A whole folder: `rollout_document`'s and what `write_tables` takes. The folder is made."""
    content = json.dumps(document, indent=1, allow_nan=False) + "\n"
    replace_file(folder / ROLLOUT, content.encode())
    write_tables(folder, **tables)


def write_tables(
    folder: Path,
    *,
    samples: Sequence[RequestSample] = (),
    blocks: Sequence[CounterBlock] = (),
    histograms: Sequence[HistogramBlock] = (),
    events: Sequence[PodEvent] = (),
    evals: Sequence[tuple[float, PairedItem]] = (),
    shift_seconds: float = 0.0,
) -> None:
    """The tables of what there is; nothing is written of nothing.

    Args:
        evals: When each item was answered by both arms, and how.
        shift_seconds: Added to every time: what makes of the caller's clock seconds since the first step.
    """
    if samples:
        metadata = {"clock": "seconds since the first step"}
        write_requests(folder / "requests.parquet", [_shifted(s, shift_seconds) for s in samples], metadata)
    rows = [row for block in blocks for row in _block_rows(block, shift_seconds)]
    rows += [row for block in histograms for row in histogram_rows(block, shift_seconds)]
    _write(folder / "blocks.parquet", _BLOCKS, rows)
    _write(
        folder / "events.parquet",
        _EVENTS,
        [(e.at + shift_seconds, str(e.arm), e.replica, e.kind, e.detail) for e in events],
    )
    _write(
        folder / "evals.parquet",
        _EVALS,
        [(at + shift_seconds, pair.item, pair.baseline_pass, pair.canary_pass) for at, pair in evals],
    )


_BLOCKS = pa.schema(
    {
        "source": pa.string(),
        "arm": pa.string(),
        "replica": pa.string(),
        "start": pa.float64(),
        "seconds": pa.float64(),
        "signal": pa.string(),
        "le": pa.float64(),
        "count": pa.int64(),
        "sum": pa.float64(),
    }
)
_EVENTS = pa.schema({"at": pa.float64(), **dict.fromkeys(("arm", "replica", "kind", "detail"), pa.string())})
_EVALS = pa.schema(
    {"answered_at": pa.float64(), "item": pa.string(), "baseline_pass": pa.bool_(), "canary_pass": pa.bool_()}
)
_TIMES = ("scheduled_at", "sent_at", "headers_at", "first_token_at", "last_token_at", "finished_at")


def _shifted(sample: RequestSample, seconds: float) -> RequestSample:
    known = {name: value + seconds for name in _TIMES if (value := getattr(sample, name)) is not None}
    return replace(sample, token_at=[at + seconds for at in sample.token_at], **known)


def _block_rows(block: CounterBlock, shift: float) -> list[tuple[Any, ...]]:
    """One row of all requests, and one of each kind of error."""
    place = (str(block.source), str(block.arm), block.replica, block.start + shift, block.seconds)
    counts = {"requests": block.requests, **{f"errors:{kind}": n for kind, n in block.errors.items()}}
    return [(*place, signal, None, count, None) for signal, count in counts.items()]


def _write(path: Path, schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    check_replaceable(path)
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)
    beside = path.with_name(f".{path.name}.part")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(path)
