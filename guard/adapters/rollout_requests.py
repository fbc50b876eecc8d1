"""requests.parquet of a recorded rollout, into columns: no object is made of a request.

Owns what becomes of bad rows and values. A row is dropped when it has no time of its start, was answered or
ended before it, or repeats the id of an earlier one; of other bad values only the value is. Both are counted,
and nothing is left out for the sake of what came later: a decision at t knows nothing of what follows.
"""

from collections import Counter

import numpy as np
import numpy.typing as npt

from guard.adapters.rollout_tables import Indices, Table
from guard.core.observations import BAD, CLIENT_ERROR, OK, WAITS, Bools, Floats
from guard.core.rollout import RequestLog
from guard.core.samples import Arm, Outcome, Source

WORDS = ("source", "arm", "replica", "outcome")
_ARMS, _SOURCES = tuple(map(str, Arm)), tuple(map(str, Source))
_OUTCOMES = {str(outcome): OK if outcome is Outcome.OK else BAD for outcome in Outcome}


def read_requests(
    table: Table, dropped: Counter[str]
) -> tuple[dict[Source, RequestLog], tuple[tuple[str, str], ...]]:
    table.require("arm")
    if not table.names & {"sent_at", "scheduled_at"}:
        table.require("sent_at")
    arm = table.words("arm", _ARMS, required=True)
    source = table.words("source", _SOURCES).mapped({name: i for i, name in enumerate(_SOURCES)}, 2)
    replica = table.words("replica")
    sent, scheduled = table.numbers("sent_at"), table.numbers("scheduled_at")
    started = np.where(np.isnan(scheduled), sent, scheduled)
    known = np.where(np.isnan(sent), scheduled, sent)
    columns = _latencies(table, started, dropped)
    outcome, unclear = _outcomes(table, columns["finished"])
    bad = ~(np.isfinite(started) & np.isfinite(known))
    dropped["requests: no finite time of the start"] += int(bad.sum())
    backwards = ~bad & ((columns["first_token"] < started) | (columns["finished"] < started))
    dropped["requests: answered or ended before the start"] += int(backwards.sum())
    dropped["requests: ended without an outcome"] += int((unclear & ~bad & ~backwards).sum())
    order = np.argsort(known, kind="stable")
    order = order[~(bad | backwards | unclear)[order]]
    order = _unrepeated(table.codes("request_id"), order, dropped)
    canary = arm.mapped({"canary": 1, "baseline": 0}, 0)
    code, replicas = _replica_codes(canary[order], replica.codes[order], replica.names)
    pair = table.codes("pair_id")
    rows = {
        "known": known[order],
        "started": started[order],
        "canary": canary[order].astype(np.bool_),
        "replica": code,
        "pair": np.full(len(order), -1, np.int32) if pair is None else pair[order].astype(np.int32),
        "outcome": outcome[order],
        **{name: column[order] for name, column in columns.items()},
    }
    of_source = source[order]
    logs = {
        word: RequestLog(**{name: column[of_source == i] for name, column in rows.items()})
        for i, word in enumerate(Source)
        if (of_source == i).any()
    }
    return logs, replicas


def _latencies(table: Table, started: Floats, dropped: Counter[str]) -> dict[str, Floats]:
    """What is known of each request later than its start; bad values are unknown, and counted."""
    names = ("first_token_at", "finished_at", "itl_mean_seconds", "output_tokens")
    first, finished, itl, tokens = (table.numbers(name) for name in names)
    if "itl_mean_seconds" not in table.names:
        itl = table.first_gaps("token_at")
        with np.errstate(invalid="ignore", divide="ignore"):
            gaps = (table.numbers("last_token_at") - first) / (tokens - 1)
        itl = np.where(np.isnan(itl) & (tokens > 1), gaps, itl)
    for name, column in zip(names, (first, finished, itl, tokens), strict=True):
        wrong = np.isposinf(column) if name in ("first_token_at", "finished_at") else np.isinf(column)
        wrong |= (column < 0) if name in ("itl_mean_seconds", "output_tokens") else False
        dropped[f"requests: {name} infinite or negative"] += int(wrong.sum())
        column[wrong] = np.nan
    late = (first > finished) & (finished >= started)
    dropped["requests: first_token_at after finished_at"] += int(late.sum())
    first[late] = np.nan
    return {"first_token": first, "finished": finished, "itl_mean": itl, "output_tokens": tokens}


def _outcomes(table: Table, finished: Floats) -> tuple[npt.NDArray[np.int8], Bools]:
    """The outcome of each request, by its status where it is not told, and which ended without either.

    Without a time of its end an outcome may be used at no time: to a decision such a request waits.
    """
    outcome = table.words("outcome", tuple(_OUTCOMES)).mapped(_OUTCOMES, WAITS).astype(np.int8)
    status = table.numbers("status")
    outcome[(outcome == WAITS) & (status >= 400)] = BAD
    outcome[(outcome == WAITS) & (status < 400)] = OK
    outcome[(outcome == BAD) & (status >= 400) & (status < 500)] = CLIENT_ERROR
    ended = ~np.isnan(finished)
    unclear = ended & (outcome == WAITS)
    outcome[~ended] = WAITS
    return outcome, unclear


def _unrepeated(ids: Indices | None, order: Indices, dropped: Counter[str]) -> Indices:
    """Of rows with the same id the one that was known first; a null is nobody's."""
    if ids is None:
        return order
    mine = ids[order]
    if len(order) and np.bincount(mine + 1)[1:].max(initial=0) <= 1:
        return order
    first = np.zeros(len(order), np.bool_)
    first[np.unique(mine, return_index=True)[1]] = True
    first |= mine < 0
    dropped["requests: request_id repeated"] += int((~first).sum())
    return order[first]


def _replica_codes(
    canary: Indices, replica: Indices, names: tuple[str, ...]
) -> tuple[npt.NDArray[np.int32], tuple[tuple[str, str], ...]]:
    """One code per arm and replica, in order of appearance."""
    both = canary * (len(names) + 1) + replica + 1
    found, first, inverse = np.unique(both, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    ordered = found[np.argsort(first)]
    labels = ((_ARMS[int(v // (len(names) + 1))], ("", *names)[int(v % (len(names) + 1))]) for v in ordered)
    return place[inverse].astype(np.int32), tuple(labels)
