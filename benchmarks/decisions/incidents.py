"""Trouble that is nobody's change: a replica's incident, an outage of the whole platform.

Owns when they happen and what they do to requests that arrive in them.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.fleet import Fleet
from benchmarks.decisions.rollout import Bools, Codes, Floats

HICCUP_EVERY_SECONDS = 7200.0  # mean, of one replica: some errors, or a stall
# Slowness for no reason of the build or the load; once a week is arbitrary, and what one of them does is
# measured by itself (`Scenario.incident`).
SLOW_EVERY_SECONDS = 7 * 86400.0


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
    """Of each replica by itself: 3 to 15 s with errors, a stall of 2 to 8 s, and rarely slowness.

    No crash: a replica that fails everything for a while is what a bad build looks like, too.
    """
    found = []
    for replica, (born, gone) in enumerate(zip(fleet.born.tolist(), fleet.gone.tolist(), strict=True)):
        for start in rng.uniform(born, gone, rng.poisson((gone - born) / HICCUP_EVERY_SECONDS)).tolist():
            if rng.random() < 0.5:
                end, failing = start + float(rng.uniform(3, 15)), float(rng.uniform(0.05, 0.25))
                found.append(Incident(replica, start, end, failing, 1.0, False))
            else:
                found.append(Incident(replica, start, start + float(rng.uniform(2, 8)), 0.0, 1.0, True))
        for start in rng.uniform(born, gone, rng.poisson((gone - born) / SLOW_EVERY_SECONDS)).tolist():
            found.append(slowness(rng, replica, start))
    return found


def slowness(rng: np.random.Generator, replica: int, start: float) -> Incident:
    """20 to 60 s in which everything takes 1.5 to 3 times as long."""
    end, slower = start + float(rng.uniform(20, 60)), float(rng.uniform(1.5, 3.0))
    return Incident(replica, start, end, 0.0, slower, False)


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
