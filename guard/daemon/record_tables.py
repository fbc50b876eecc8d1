"""blocks.parquet and events.parquet of a recorded rollout: what was counted, and what happened to pods.

Owns the columns. Times are on the clock of the rollout: what the caller's offset makes of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from guard.core.blocks import CounterBlock, PodEvent


def write_blocks(path: Path, blocks: Sequence[CounterBlock], offset: float) -> None:
    """Nothing is written of nothing."""
    rows = []
    for block in blocks:
        shared = {
            "source": str(block.source),
            "arm": str(block.arm),
            "replica": block.replica,
            "start": block.start + offset,
            "seconds": block.seconds,
            "le": None,
            "sum": None,
        }
        rows.append({**shared, "signal": "requests", "count": block.requests})
        rows += [{**shared, "signal": f"errors:{code}", "count": n} for code, n in block.errors.items()]
    _write_table(path, rows)


def write_events(path: Path, events: Sequence[PodEvent], offset: float) -> None:
    """Nothing is written of nothing."""
    rows = [
        {
            "at": event.at + offset,
            "arm": str(event.arm),
            "replica": event.replica,
            "kind": event.kind,
            "detail": event.detail,
        }
        for event in events
    ]
    _write_table(path, rows)


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)
