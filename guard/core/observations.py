"""What became known of requests, in columns: the form in which single requests reach the evidence.

Owns nothing but the forms. All arrays of one object have one length; order means nothing; times are seconds
on the rollout's clock. `replica` is a code, one per replica and arm, given in order of appearance.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

MOST, MOST_REPLICAS = 1e9, 100_000  # seconds or requests in flight, codes: more than that is a source's fault
WAITS, OK, BAD, CLIENT_ERROR = 0, 1, 2, 3  # a request's outcome; a client error (4xx) is bad, too


@dataclass(frozen=True)
class Requests:
    """Requests as they stand, a row each; one that waits is given again when more is known of it.

    Attributes:
        ids: Unique in a rollout; strings or integers.
        started: When it was due, or sent.
        first_token, finished, itl_mean, output_tokens: nan where unknown, or not yet.
        outcome: `WAITS`, `OK`, `BAD` or `CLIENT_ERROR`.
    """

    ids: Sequence[Hashable]
    canary: Bools
    replica: Codes
    started: Floats
    first_token: Floats
    finished: Floats
    itl_mean: Floats
    output_tokens: Floats
    outcome: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ids)


_ARRAYS = ("canary", "replica", "started", "first_token", "finished", "itl_mean", "output_tokens", "outcome")


def take(rows: Requests, keep: Bools) -> Requests:
    """The rows that a mask keeps."""
    if keep.all():
        return rows
    ids = [rows.ids[i] for i in np.flatnonzero(keep).tolist()]
    return Requests(ids, *(getattr(rows, name)[keep] for name in _ARRAYS))


def join(parts: Sequence[Requests]) -> Requests:
    """All rows of all parts."""
    if len(parts) == 1:
        return parts[0]
    ids = [request for part in parts for request in part.ids]
    columns = (np.concatenate([_EMPTY[name], *(getattr(p, name) for p in parts)]) for name in _ARRAYS)
    return Requests(ids, *columns)


_EMPTY = {name: np.zeros(0) for name in _ARRAYS} | {
    "canary": np.zeros(0, np.bool_),
    "replica": np.zeros(0, np.int32),
    "outcome": np.zeros(0, np.int8),
}


@dataclass(frozen=True)
class Latencies:
    """Values of one signal, TTFT or ITL.

    Attributes:
        at: When each became known: a first token, the cap that a waiting request has reached, or an end.
        seconds: Above 0; a TTFT is capped already.
        in_flight: Requests in flight on its replica when it arrived; nan where unknown.
    """

    at: Floats
    canary: Bools
    replica: Codes
    seconds: Floats
    in_flight: Floats

    def rows(self, keep: Bools) -> "Latencies":
        """Those that a mask keeps."""
        if keep.all():
            return self
        at, canary, replica = self.at[keep], self.canary[keep], self.replica[keep]
        return Latencies(at, canary, replica, self.seconds[keep], self.in_flight[keep])

    def usable(self) -> "Latencies":
        """Without what is no latency, or of no replica; a load that cannot be is unknown."""
        fine = np.isfinite(self.at) & (self.seconds > 1 / MOST) & (self.seconds < MOST)
        fine &= (self.replica >= 0) & (self.replica < MOST_REPLICAS)
        load = np.where((self.in_flight >= 0) & (self.in_flight < MOST), self.in_flight, np.nan)
        return replace(self, in_flight=load).rows(fine)


@dataclass(frozen=True)
class Marks:
    """Moments of requests: that they arrived, or that they turned bad."""

    at: Floats
    canary: Bools
    replica: Codes


def to_json(column: npt.NDArray[Any]) -> list[Any]:
    """A column as JSON values; nan is null."""
    values: list[Any] = column.tolist()
    return [None if value != value else value for value in values]


def from_json(values: Sequence[Any], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.array([np.nan if value is None else value for value in values], kind)


def requests_to_json(rows: Requests) -> dict[str, Any]:
    return {"ids": list(rows.ids)} | {name: to_json(getattr(rows, name)) for name in _ARRAYS}


def requests_from_json(state: Mapping[str, Any]) -> Requests:
    return Requests(state["ids"], *(from_json(state[name], _EMPTY[name].dtype) for name in _ARRAYS))
