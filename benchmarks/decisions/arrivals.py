"""When requests come, and to which arm and replica: Poisson arrivals with drift and bursts, routed by weight.

Owns the rate over time and the routing. Refuses to know how requests are served.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.fleet import Fleet
from benchmarks.decisions.noise import autoregression
from benchmarks.decisions.rollout import PROBE, USER, Bools, Codes, Floats, Ints, Step

BURST_EVERY_SECONDS, BURST_SECONDS = 300.0, 25.0  # means; a burst brings 1.5 to 3 times the requests
SLOW_SECONDS, SLOW_SPREAD = 600.0, 0.12  # of the rate's own slow changes, as log


@dataclass(frozen=True)
class Arrivals:
    """Requests to be served, in order of time; columns as in `rollout.Requests`."""

    source: Codes
    pair: Ints
    canary: Bools
    replica: Codes
    weight_percent: Codes
    sent_at: Floats


def rates(rng: np.random.Generator, seconds: int, mean: float, drift: float) -> Floats:
    """Requests a second, for each second; their mean over all is `mean`.

    Args:
        drift: Amplitude of a swing of one to three hours' period, as log.
    """
    at = np.arange(seconds, dtype=np.float64)
    period, phase = rng.uniform(3600.0, 10800.0), rng.uniform(0.0, 2 * np.pi)
    slow = np.repeat(autoregression(rng, 1, -(-seconds // 20), SLOW_SECONDS / 20)[0], 20)[:seconds]
    rate = np.exp(drift * np.sin(2 * np.pi * at / period + phase) + SLOW_SPREAD * slow)
    for start in rng.uniform(0, seconds, rng.poisson(seconds / BURST_EVERY_SECONDS)):
        end = start + rng.exponential(BURST_SECONDS)
        rate[int(start) : int(end) + 1] *= rng.uniform(1.5, 3.0)
    rate *= mean / rate.mean()
    return rate


def users(
    rng: np.random.Generator, fleet: Fleet, steps: tuple[Step, ...], mean: float, drift: float
) -> Arrivals:
    """The users' requests over the fleet's whole time, from `fleet.start` to `fleet.end`."""
    seconds = int(fleet.end - fleet.start)
    counts = rng.poisson(rates(rng, seconds, mean, drift))
    second = np.repeat(np.arange(seconds), counts)
    sent_at = np.sort(fleet.start + second + rng.random(len(second)))
    weight = np.zeros(len(sent_at), np.int32)
    for step in steps:
        weight[sent_at >= step.start_seconds] = step.weight_percent
    canary = rng.random(len(sent_at)) * 100 < weight
    replica = fleet.route(rng, sent_at, canary)
    none = np.full(len(sent_at), -1, np.int64)
    source = np.full(len(sent_at), USER, np.int32)
    return Arrivals(source, none, canary, replica, weight, sent_at)


def probes(rng: np.random.Generator, fleet: Fleet, every_seconds: float, weight_percent: int) -> Arrivals:
    """Paired probes: the same prompt to both arms at the same moment, from the first step to the end."""
    at = np.arange(rng.uniform(0, every_seconds), fleet.end, every_seconds)
    sent_at = np.repeat(at, 2)
    pair = np.repeat(np.arange(len(at), dtype=np.int64), 2)
    canary = np.tile([False, True], len(at))
    replica = fleet.route(rng, sent_at, canary)
    weight = np.full(len(sent_at), weight_percent, np.int32)
    return Arrivals(np.full(len(sent_at), PROBE, np.int32), pair, canary, replica, weight, sent_at)


def merged(one: Arrivals, other: Arrivals) -> Arrivals:
    """Both, in order of time."""
    order = np.argsort(np.concatenate([one.sent_at, other.sent_at]), kind="stable")
    pairs = ((getattr(one, name), getattr(other, name)) for name in Arrivals.__dataclass_fields__)
    return Arrivals(*(np.concatenate(pair)[order] for pair in pairs))


def without(arrivals: Arrivals, dropped: Bools) -> Arrivals:
    """Those that are not dropped."""
    return Arrivals(*(getattr(arrivals, name)[~dropped] for name in Arrivals.__dataclass_fields__))
