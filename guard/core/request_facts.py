"""From requests as they are told of to what became known, and when: arrivals, failures, TTFT, ITL.

Owns DESIGN 5.1's "a request still waiting is already evidence": its TTFT resolves at min(first token, cap),
and without a first token it is bad after 60 s. Owns the requests in flight on each replica, and that no
request counts twice. One instance is one source. Keeps the requests that wait, and the names of those that
ended in the last minutes; never a finished request. Bad input is dropped and counted, by reason.
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.first_token_cap import FIRST_TOKEN_SECONDS, FirstTokenCap
from guard.core.observations import (
    BAD,
    CLIENT_ERROR,
    OK,
    WAITS,
    Bools,
    Floats,
    Latencies,
    Marks,
    Requests,
    from_json,
    join,
    take,
    to_json,
)

REMEMBERED_SECONDS = 300.0  # arbitrary: a request told of again later than that counts twice
GIVEN_UP_SECONDS = 900.0  # arbitrary: a request of which no end was ever told
_COLUMNS = ("started", "first_token", "in_flight", "canary", "replica", "ttft_known", "bad_known")


@dataclass(frozen=True)
class Facts:
    """What became known since the last call.

    Attributes:
        good: Requests that ended well.
        client_error: Goes with `failures`.
        ended: Requests that ended or expired, each once, as they then stood.
    """

    arrivals: Marks
    good: Marks
    failures: Marks
    client_error: Bools
    ttft: Latencies
    itl: Latencies
    ended: Requests


class RequestFacts:
    """`add` requests as they stand, and ask `expire` at every tick; both return what became known by it."""

    def __init__(self, start: float) -> None:
        """`start`: of the first step; what the baseline did before it sets the cap."""
        self.cap = FirstTokenCap(start)
        self.dropped: Counter[str] = Counter()
        self._slots: dict[Hashable, int] = {}  # of requests that wait
        self._table = _table(64)
        self._free = list(range(63, -1, -1))
        self._ended: set[Hashable] = set()
        self._ended_before: set[Hashable] = set()
        self._turned_at = start
        self._in_flight = np.zeros(8)  # by replica code
        self._new = _New()

    def add(self, rows: Requests) -> Facts:
        """Takes requests as they stand now, each once in `rows`."""
        slots = np.array(list(map(self._slots.get, rows.ids, repeat(-1))), np.int64)
        keep = self._valid(rows, slots)
        if not keep.all():
            rows, slots = take(rows, keep), slots[keep]
        new = slots < 0
        in_flight = self._count_in_flight(rows, new)
        self._new.arrivals.append((rows.started[new], rows.canary[new], rows.replica[new]))
        slots = self._place(rows, slots, new, in_flight)
        self._first_tokens(rows, slots)
        ended = rows.outcome != WAITS
        self._ends(take(rows, ended), slots[ended])
        return self._taken()

    def waiting(self) -> Requests:
        """Requests that have not ended, as they stand."""
        return self._rows(list(self._slots))

    def answering(self) -> int:
        """The canary's requests that have a first token and no end."""
        used = np.fromiter(self._slots.values(), np.int64, len(self._slots))
        table = self._table
        return int((table["canary"][used] & ~np.isnan(table["first_token"][used])).sum())

    def expire(self, now: float) -> Facts:
        """What is known of requests that have waited too long by `now`."""
        table, cap = self._table, self.cap.seconds
        used = np.fromiter(self._slots.values(), np.int64, len(self._slots))
        late = used[~table["ttft_known"][used] & (table["started"][used] + cap <= now)]
        self._resolve(late, table["started"][late] + cap, np.full(len(late), cap))
        self._end_late(now)
        return self._taken()

    def _taken(self) -> Facts:
        facts, self._new = self._new.facts(), _New()
        return facts

    def _end_late(self, now: float) -> None:
        """Ends requests of which too long nothing was told: without a first token after 60 s they are bad."""
        table = self._table
        names = np.array(list(self._slots), dtype=object)
        used = np.fromiter(self._slots.values(), np.int64, len(self._slots))
        silent = np.isnan(table["first_token"][used])
        limit = np.where(silent, FIRST_TOKEN_SECONDS, GIVEN_UP_SECONDS)
        late = table["started"][used] + limit <= now
        if not late.any():
            return
        bad = used[late & silent]
        self._fail(bad, table["started"][bad] + FIRST_TOKEN_SECONDS, np.zeros(len(bad), bool))
        expired = self._rows(names[late].tolist())
        self._new.ended.append(replace(expired, outcome=np.where(silent[late], BAD, OK).astype(np.int8)))
        self._in_flight -= np.bincount(table["replica"][used[late]], minlength=len(self._in_flight))
        for name in names[late].tolist():
            self._give_up(name)

    def _rows(self, names: list[Hashable]) -> Requests:
        table, n = self._table, len(names)
        slots = [self._slots[name] for name in names]
        unknown, waits = np.full(n, np.nan), np.full(n, WAITS, np.int8)
        return Requests(
            names,
            table["canary"][slots],
            table["replica"][slots],
            table["started"][slots],
            table["first_token"][slots],
            unknown,
            unknown,
            unknown,
            waits,
        )

    def _valid(self, rows: Requests, slots: npt.NDArray[np.int64]) -> Bools:
        """Which rows can be used; the others are counted, and a request under way is then given up."""
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(rows.started) & ~np.isinf(rows.first_token) & ~np.isinf(rows.finished)
            backwards = (rows.first_token < rows.started) | (rows.finished < rows.started)
            backwards |= (rows.itl_mean < 0) | (rows.finished < rows.first_token)
        again = np.zeros(len(rows), bool)
        again[slots < 0] = [self._has_ended(rows.ids[i]) for i in np.flatnonzero(slots < 0).tolist()]
        self.dropped["not finite"] += int((~finite).sum())
        self.dropped["backwards"] += int((finite & backwards).sum())
        self.dropped["twice"] += int((finite & ~backwards & again).sum())
        bad = ~finite | backwards
        for row in np.flatnonzero(bad & (slots >= 0)).tolist():
            self._in_flight[self._table["replica"][slots[row]]] -= 1
            self._give_up(rows.ids[row])
        keep: Bools = ~bad & ~again
        return keep

    def _has_ended(self, request: Hashable) -> bool:
        return request in self._ended or request in self._ended_before

    def _count_in_flight(self, rows: Requests, new: Bools) -> Floats:
        """Requests in flight on its replica when each row arrived; nan for rows that are not new."""
        ended = rows.outcome != WAITS
        at = np.concatenate([rows.started[new], rows.finished[ended]])
        replica = np.concatenate([rows.replica[new], rows.replica[ended]])
        change = np.concatenate([np.ones(new.sum()), -np.ones(ended.sum())])
        if len(at) and (top := int(replica.max())) >= len(self._in_flight):
            self._in_flight = np.concatenate([self._in_flight, np.zeros(top + 8 - len(self._in_flight))])
        order = np.lexsort((np.nan_to_num(at, nan=np.inf), replica))
        before = np.empty(len(at))
        sums = np.cumsum(change[order]) - change[order]
        first = np.searchsorted(replica[order], replica[order], side="left")
        before[order] = sums - sums[first] if len(at) else sums
        before += self._in_flight[replica]
        self._in_flight += np.bincount(replica, change, minlength=len(self._in_flight))
        found = np.full(len(rows), np.nan)
        found[new] = np.maximum(0.0, before[: int(new.sum())])
        return found

    def _place(
        self, rows: Requests, slots: npt.NDArray[np.int64], new: Bools, in_flight: Floats
    ) -> npt.NDArray[np.int64]:
        """A slot for each new row."""
        wanted = int(new.sum())
        if not wanted:
            return slots
        while len(self._free) < wanted:
            self._grow()
        given = np.array([self._free.pop() for _ in range(wanted)], np.int64)
        slots = slots.copy()
        slots[new] = given
        table = self._table
        table["started"][given], table["in_flight"][given] = rows.started[new], in_flight[new]
        table["canary"][given], table["replica"][given] = rows.canary[new], rows.replica[new]
        table["first_token"][given] = np.nan
        table["ttft_known"][given] = table["bad_known"][given] = False
        rows_new = np.flatnonzero(new).tolist()
        self._slots.update(zip((rows.ids[i] for i in rows_new), given.tolist(), strict=True))
        return slots

    def _grow(self) -> None:
        size = len(self._table["started"])
        more = _table(2 * size)
        for name in _COLUMNS:
            more[name][:size] = self._table[name]
        self._table = more
        self._free += range(2 * size - 1, size - 1, -1)

    def _first_tokens(self, rows: Requests, slots: npt.NDArray[np.int64]) -> None:
        table = self._table
        fresh = ~np.isnan(rows.first_token) & ~table["ttft_known"][slots]
        table["first_token"][slots] = np.fmin(table["first_token"][slots], rows.first_token)
        seconds = np.maximum(rows.first_token[fresh] - rows.started[fresh], 1e-9)
        base = ~rows.canary[fresh]
        self.cap.add(rows.first_token[fresh][base], seconds[base])
        cap = self.cap.seconds
        at = np.minimum(rows.first_token[fresh], rows.started[fresh] + cap)
        self._resolve(slots[fresh], at, np.minimum(seconds, cap))

    def _ends(self, rows: Requests, slots: npt.NDArray[np.int64]) -> None:
        table, cap = self._table, self.cap.seconds
        at = np.where(np.isnan(rows.finished), rows.started, rows.finished)
        hung = ~table["ttft_known"][slots] & (at - rows.started >= cap)
        self._resolve(slots[hung], rows.started[hung] + cap, np.full(int(hung.sum()), cap))
        slow = table["first_token"][slots] - rows.started > FIRST_TOKEN_SECONDS
        bad = ((rows.outcome >= BAD) | slow) & ~table["bad_known"][slots]
        fine = ~bad & ~table["bad_known"][slots]
        self._new.good.append((at[fine], rows.canary[fine], rows.replica[fine]))
        known = np.minimum(at[bad], rows.started[bad] + FIRST_TOKEN_SECONDS)
        self._fail(slots[bad], known, rows.outcome[bad] == CLIENT_ERROR)
        good = (rows.outcome == OK) & (rows.itl_mean > 0) & np.isfinite(rows.itl_mean)
        self._new.itl.append(self._latencies(slots[good], at[good], rows.itl_mean[good]))
        released = map(self._slots.pop, rows.ids, repeat(None))
        self._free += [slot for slot in released if slot is not None]
        if len(at):
            self._turn(float(at.max()))
            self._new.ended.append(rows)
        self._ended.update(rows.ids)

    def _resolve(self, slots: npt.NDArray[np.int64], at: Floats, seconds: Floats) -> None:
        if len(slots):
            self._table["ttft_known"][slots] = True
            self._new.ttft.append(self._latencies(slots, at, seconds))

    def _fail(self, slots: npt.NDArray[np.int64], at: Floats, client_error: Bools) -> None:
        if len(slots):
            table = self._table
            table["bad_known"][slots] = True
            self._new.failures.append((at, table["canary"][slots], table["replica"][slots]))
            self._new.client_error.append(client_error)

    def _latencies(self, slots: npt.NDArray[np.int64], at: Floats, seconds: Floats) -> tuple[Any, ...]:
        table = self._table
        return at, table["canary"][slots], table["replica"][slots], seconds, table["in_flight"][slots]

    def _give_up(self, request: Hashable) -> None:
        """Nothing more will be heard of it."""
        self._free.append(self._slots.pop(request))
        self._ended.add(request)

    def _turn(self, at: float) -> None:
        """Two generations of names, so that none is looked at again to be forgotten."""
        if at > self._turned_at + REMEMBERED_SECONDS:
            self._ended_before, self._ended, self._turned_at = self._ended, set(), at

    def state(self) -> dict[str, Any]:
        """Requests that wait, and the names of those that ended lately, as JSON values."""
        used = list(self._slots.values())
        return {
            "cap": self.cap.state(),
            "dropped": dict(self.dropped),
            "waiting": {name: to_json(self._table[name][used]) for name in _COLUMNS},
            "ids": list(self._slots),
            "ended": [sorted(self._ended, key=str), sorted(self._ended_before, key=str)],
            "turned_at": self._turned_at,
            "in_flight": self._in_flight.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(0.0)
        self.cap = FirstTokenCap.from_state(state["cap"])
        self.dropped = Counter(state["dropped"])
        while len(self._free) < len(state["ids"]):
            self._grow()
        slots = [self._free.pop() for _ in state["ids"]]
        for name in _COLUMNS:
            self._table[name][slots] = from_json(state["waiting"][name], self._table[name].dtype)
        self._slots = dict(zip(state["ids"], slots, strict=True))
        self._ended, self._ended_before = (set(names) for names in state["ended"])
        self._turned_at = state["turned_at"]
        self._in_flight = np.array(state["in_flight"])
        return self


class _New:
    """Lists of columns, while one call collects them."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[Any, ...]] = []
        self.good: list[tuple[Any, ...]] = []
        self.failures: list[tuple[Any, ...]] = []
        self.client_error: list[Bools] = []
        self.ttft: list[tuple[Any, ...]] = []
        self.itl: list[tuple[Any, ...]] = []
        self.ended: list[Requests] = []

    def facts(self) -> Facts:
        client_error = np.concatenate(self.client_error) if self.client_error else np.zeros(0, bool)
        return Facts(
            Marks(*_joined(self.arrivals, 3)),
            Marks(*_joined(self.good, 3)),
            Marks(*_joined(self.failures, 3)),
            client_error,
            Latencies(*_joined(self.ttft, 5)),
            Latencies(*_joined(self.itl, 5)),
            join(self.ended),
        )


_TYPES = (np.float64, np.bool_, np.int32, np.float64, np.float64)


def _joined(parts: list[tuple[Any, ...]], columns: int) -> list[Any]:
    if not parts:
        return [np.zeros(0, kind) for kind in _TYPES[:columns]]
    return [np.concatenate([part[c] for part in parts]) for c in range(columns)]


def _table(size: int) -> dict[str, npt.NDArray[Any]]:
    kinds = (np.float64, np.float64, np.float64, np.bool_, np.int32, np.bool_, np.bool_)
    return {name: np.zeros(size, kind) for name, kind in zip(_COLUMNS, kinds, strict=True)}
