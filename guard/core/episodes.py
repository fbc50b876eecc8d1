"""Errors of one replica that belong together: the episode, and which arrivals can tell of one.

Owns DECISION's unit of errors: after a counted error its replica is dead for 5 s; its arrivals and errors in
that time are ignored, and the other arrivals are *armed*. Reads requests seen one by one; `counter_episodes`
reads counters. Refuses to compare arms. Keeps numbers per replica, never requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from guard.core.observations import Bools, Codes, Floats, Marks

DEAD_SECONDS = 5.0
SEEN_SECONDS = 60.0  # a replica without a request for so long is not there; arbitrary
_KEY_SECONDS = 64.0  # more than a bin, so that replica and time make one sorted key


@dataclass(frozen=True)
class ArmBin:
    """One arm in one bin.

    Attributes:
        arrivals: Armed; `raw_arrivals` and `raw_errors` are all of them.
        dead_seconds: Within the bin, over all replicas.
        replicas: Seen in the last 60 s.
    """

    arrivals: float = 0.0
    episodes: int = 0
    raw_arrivals: int = 0
    raw_errors: int = 0
    dead_seconds: float = 0.0
    replicas: int = 0

    def __add__(self, other: "ArmBin") -> "ArmBin":
        return ArmBin(
            self.arrivals + other.arrivals,
            self.episodes + other.episodes,
            self.raw_arrivals + other.raw_arrivals,
            self.raw_errors + other.raw_errors,
            self.dead_seconds + other.dead_seconds,
            self.replicas + other.replicas,
        )


@dataclass(frozen=True)
class BothArms:
    """What one bin adds."""

    baseline: ArmBin
    canary: ArmBin

    def __add__(self, other: "BothArms") -> "BothArms":
        return BothArms(self.baseline + other.baseline, self.canary + other.canary)


class Episodes:
    """Feed `count` with bin after bin."""

    def __init__(self) -> None:
        self._canary = np.zeros(0, np.bool_)  # by replica's code, as all below
        self._dead_until = np.zeros(0)
        self._last_seen = np.zeros(0)
        self._block = np.zeros((2, 0))  # armed arrivals and episodes since the last `take_block`

    def count(self, arrivals: Marks, failures: Marks, begin: float, end: float) -> BothArms:
        """One bin, [begin, end); what comes late, from before `begin`, counts as of its beginning."""
        self._grow(arrivals)
        self._grow(failures)
        size = len(self._canary)
        carried = np.minimum(np.maximum(self._dead_until - begin, 0.0), end - begin)
        replica, at = self._new_episodes(failures.replica, np.maximum(failures.at - begin, 0.0), begin)
        armed = _armed(arrivals.replica, np.maximum(arrivals.at - begin, 0.0), carried, replica, at)
        counts = np.empty((6, size))
        columns = (arrivals.replica[armed], replica, arrivals.replica, failures.replica)
        for row, codes in enumerate(columns):
            counts[row] = np.bincount(codes, minlength=size)
        counts[4] = carried + np.bincount(replica, np.minimum(DEAD_SECONDS, end - begin - at), size)
        self._last_seen[counts[2] > 0] = end
        counts[5] = self._last_seen > end - SEEN_SECONDS
        self._block += counts[:2]
        canary = counts @ self._canary
        return BothArms(_arm(counts.sum(1) - canary), _arm(canary))

    def take_block(self) -> tuple[Floats, Floats]:
        """Armed arrivals and episodes of each baseline replica since the last call."""
        arrivals, episodes = self._block[:, ~self._canary]
        self._block = np.zeros_like(self._block)
        return arrivals, episodes

    def _new_episodes(self, replicas: Codes, since: Floats, begin: float) -> tuple[Codes, Floats]:
        """The errors that find their replica alive; the only loop, over errors."""
        if not len(replicas):
            return replicas, since
        alive = since >= self._dead_until[replicas] - begin
        replicas, since = replicas[alive], since[alive]
        order = np.argsort(since, kind="stable")
        dead_until: dict[int, float] = {}
        found = []
        rows = zip(order.tolist(), replicas[order].tolist(), since[order].tolist(), strict=True)
        for place, replica, at in rows:
            if at >= dead_until.get(replica, 0.0):
                dead_until[replica] = at + DEAD_SECONDS
                found.append(place)
        self._dead_until[list(dead_until)] = [begin + until for until in dead_until.values()]
        return replicas[found], since[found]

    def _grow(self, marks: Marks) -> None:
        missing = int(marks.replica.max(initial=-1)) + 1 - len(self._canary)
        if missing > 0:
            self._canary = np.concatenate([self._canary, np.zeros(missing, np.bool_)])
            self._dead_until = np.concatenate([self._dead_until, np.full(missing, -np.inf)])
            self._last_seen = np.concatenate([self._last_seen, np.full(missing, -np.inf)])
            self._block = np.concatenate([self._block, np.zeros((2, missing))], axis=1)
        self._canary[marks.replica] = marks.canary

    def state(self) -> dict[str, Any]:
        never = -1e300  # JSON knows no infinity
        return {
            "canary": self._canary.tolist(),
            "dead_until": np.maximum(self._dead_until, never).tolist(),
            "last_seen": np.maximum(self._last_seen, never).tolist(),
            "block": self._block.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._canary = np.array(state["canary"], np.bool_)
        self._dead_until = np.array(state["dead_until"], np.float64)
        self._last_seen = np.array(state["last_seen"], np.float64)
        self._block = np.array(state["block"], np.float64).reshape(2, -1)
        return self


def _arm(sums: Floats) -> ArmBin:
    armed, episodes, raw, errors, dead_seconds, replicas = sums.tolist()
    return ArmBin(armed, int(episodes), int(raw), int(errors), dead_seconds, int(replicas))


def _armed(replicas: Codes, since: Floats, carried: Floats, dead: Codes, dead_since: Floats) -> Bools:
    """Which arrivals did not find their replica dead; one at the very moment of an error is armed.

    Args:
        since: Seconds into the bin, as `dead_since`.
        carried: How long each replica is still dead from before the bin.
        dead, dead_since: The episodes of this bin.
    """
    armed: Bools = since >= carried[replicas]
    if len(dead):
        order = np.lexsort((dead_since, dead))
        keys = dead[order] * _KEY_SECONDS + dead_since[order]
        last = np.searchsorted(keys, replicas * _KEY_SECONDS + since, side="left") - 1
        place = order[np.maximum(last, 0)]
        hit = (last >= 0) & (dead[place] == replicas) & (since < dead_since[place] + DEAD_SECONDS)
        armed &= ~hit
    return armed
