"""blocks.parquet, events.parquet and evals.parquet of a recorded rollout: what was counted, told and graded.

Owns their columns and what becomes of bad rows: dropped and counted. A row that is there twice counts once:
two restarts are a hard limit. Blocks of histograms are read by `rollout_histograms`.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from guard.adapters.rollout_histograms import is_histogram
from guard.adapters.rollout_tables import Table
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.rollout import EvalLog
from guard.core.samples import Arm, Source

_ARMS, _SOURCES = tuple(map(str, Arm)), tuple(map(str, Source))
_JUDGED_EVENTS = frozenset({"restart", "oom", "ready", "gone", "fingerprint", "policy_bypass"})
_MOST = 1e12  # requests in one block; arbitrary, and far below what an integer column can sum
_SHOWN_EVENTS = frozenset({"weight", "note"})


def read_evals(table: Table, dropped: Counter[str]) -> EvalLog:
    """Items that both arms answered, in order of time."""
    table.require("answered_at", "baseline_pass", "canary_pass")
    at, item = table.numbers("answered_at"), table.words("item")
    (baseline, known), (canary, also) = table.flags("baseline_pass"), table.flags("canary_pass")
    bad = ~np.isfinite(at)
    dropped["evals: answered_at not finite"] += int(bad.sum())
    dropped["evals: not graded on both arms"] += int((~bad & ~(known & also)).sum())
    order = np.argsort(at, kind="stable")
    order = order[(~bad & known & also)[order]]
    if item.names:  # the same item later is another answer; at the same moment it is the same row again
        rows = np.unique(np.stack([item.codes[order], at[order]]), axis=1, return_index=True)[1]
        dropped["evals: repeated"] += len(order) - len(rows)
        order = order[np.sort(rows)]
    names = ("", *item.names)
    return EvalLog(at[order], [names[c + 1] for c in item.codes[order]], baseline[order], canary[order])


def read_events(table: Table, dropped: Counter[str], unused: Counter[str]) -> tuple[PodEvent, ...]:
    """What happened to pods, in order of time; weights and notes are for people."""
    table.require("at", "kind")
    at, kind = table.numbers("at"), table.words("kind", required=True)
    columns = [table.words("arm", _ARMS), table.words("replica"), kind, table.words("detail")]
    finite = np.isfinite(at)
    dropped["events: at not finite"] += int((~finite).sum())
    found: dict[tuple[float, ...], PodEvent] = {}
    for row in np.argsort(at, kind="stable")[: int(finite.sum())].tolist():
        arm, replica, what, detail = (("", *c.names)[c.codes[row] + 1] for c in columns)
        if what not in _JUDGED_EVENTS:
            unused[f"events: {what}" if what in _SHOWN_EVENTS else "events: of a kind not known"] += 1
            continue
        if not arm:
            table.refuse("arm", f"is null, and {what!r} is an event of an arm", row)
        key = (at[row], *(c.codes[row] for c in columns))
        dropped["events: repeated"] += key in found
        found.setdefault(key, PodEvent(float(at[row]), Arm(arm), replica, what, detail))
    return tuple(found.values())


def read_blocks(table: Table, dropped: Counter[str], unused: Counter[str]) -> tuple[CounterBlock, ...]:
    """Counters of requests and of errors by kind, joined: `requests`, and `errors` or `errors:KIND`."""
    table.require("arm", "start", "seconds", "signal", "count")
    arm, signal = table.words("arm", _ARMS, required=True), table.words("signal", required=True)
    source, replica = table.words("source", _SOURCES), table.words("replica")
    start, seconds, count, le = (table.numbers(name) for name in ("start", "seconds", "count", "le"))
    usable = np.isfinite(start) & np.isfinite(seconds) & (seconds > 0) & (count >= 0) & (count <= _MOST)
    ours = ~is_histogram(signal, le)
    dropped["blocks: not finite, negative, beyond any count, or of no length"] += int((ours & ~usable).sum())
    counted: dict[tuple[Any, ...], dict[str, int]] = {}
    names = [("", *column.names) for column in (source, arm, replica, signal)]
    for row in np.flatnonzero(ours & usable).tolist():
        codes = (source.codes[row], arm.codes[row], replica.codes[row], signal.codes[row])
        src, whose, pod, what = (words[code + 1] for words, code in zip(names, codes, strict=True))
        kind = what.partition(":")
        if kind[0] not in ("requests", "errors"):
            unused[f"blocks: {kind[0]}"] += 1
            continue
        key = (src or str(Source.USER), whose, pod, float(start[row]), float(seconds[row]))
        block = counted.setdefault(key, {})
        dropped["blocks: repeated"] += what in block
        block.setdefault(what, math.floor(count[row]))
    blocks = (_counter_block(key, counts) for key, counts in counted.items())
    return tuple(sorted(blocks, key=lambda block: block.end))


def _counter_block(key: tuple[Any, ...], counts: Mapping[str, int]) -> CounterBlock:
    source, arm, replica, start, seconds = key
    errors = {what.partition(":")[2] or "error": n for what, n in counts.items() if what != "requests"}
    requests = counts.get("requests", sum(errors.values()))
    return CounterBlock(Source(source), Arm(arm), replica, start, seconds, requests, errors)
