"""Trouble that is nobody's change: a replica's incident, an outage of the whole platform.

Owns when they happen and what they do to requests that arrive in them.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.fleet import Fleet
from benchmarks.decisions.rollout import Bools, Codes, Floats

EVERY_REPLICA_SECONDS = 3600.0 * 2  # mean time between incidents of one replica


@dataclass(frozen=True)
class Incident:
    """One replica from `start` to `end`.

    Attributes:
        failing: Share of the requests that fail.
        slower: Factor of TTFT and ITL.
        stalls: Nothing comes until the end.
    """

    replica: int
    start: float
    end: float
    failing: float
    slower: float
    stalls: bool


@dataclass(frozen=True)
class Trouble:
    """What incidents do to each request."""

    failed: Bools
    slower: Floats
    stalled_seconds: Floats


def replica_incidents(rng: np.random.Generator, fleet: Fleet) -> list[Incident]:
    """Of each replica by itself: a crash of 5 to 20 s, a stall of 2 to 8 s, or half a minute of slowness."""
    found = []
    for replica in range(len(fleet.canary)):
        lived = fleet.gone[replica] - fleet.born[replica]
        for _ in range(int(rng.poisson(lived / EVERY_REPLICA_SECONDS))):
            start = float(rng.uniform(fleet.born[replica], fleet.gone[replica]))
            kind = rng.integers(3)
            if kind == 0:
                end, failing = start + rng.uniform(5, 20), rng.uniform(0.3, 1.0)
                found.append(Incident(replica, start, float(end), float(failing), 1.0, False))
            elif kind == 1:
                found.append(Incident(replica, start, start + float(rng.uniform(2, 8)), 0.0, 1.0, True))
            else:
                end, slower = start + rng.uniform(20, 60), rng.uniform(1.5, 3.0)
                found.append(Incident(replica, start, float(end), 0.0, float(slower), False))
    return found


def outage(rng: np.random.Generator, fleet: Fleet) -> list[Incident]:
    """All replicas of both arms within seconds: a network, a shared store, a model gateway."""
    start, seconds = float(rng.uniform(0, fleet.end - 60)), float(rng.uniform(10, 90))
    failing, slower = float(rng.uniform(0.1, 0.7)), float(rng.uniform(1.2, 3.0))
    lag = rng.uniform(0, 5, (len(fleet.canary), 2))
    return [
        Incident(replica, start + begins, start + seconds + ends, failing, slower, False)
        for replica, (begins, ends) in enumerate(lag.tolist())
    ]


def trouble(rng: np.random.Generator, incidents: list[Incident], sent_at: Floats, replica: Codes) -> Trouble:
    """What happens to the requests, which are in order of time."""
    failed = np.zeros(len(sent_at), np.bool_)
    slower, stalled = np.ones(len(sent_at)), np.zeros(len(sent_at))
    for incident in incidents:
        first, last = np.searchsorted(sent_at, [incident.start, incident.end])
        here = first + np.flatnonzero(replica[first:last] == incident.replica)
        failed[here] |= rng.random(len(here)) < incident.failing
        slower[here] *= incident.slower
        if incident.stalls:
            stalled[here] = np.maximum(stalled[here], incident.end - sent_at[here])
    return Trouble(failed, slower, stalled)
