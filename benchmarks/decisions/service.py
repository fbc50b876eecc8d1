"""How long a request takes on its replica: a queue for prefill, and decoding in a batch with the others.

Owns the load dependence. TTFT is the wait for prefill (one at a time: Lindley's recursion) and the
prefill itself, which decoding slows down; ITL grows with the batch, faster than linearly. Requests in flight
depend on durations and the other way round; three rounds from an empty replica settle them.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.rollout import Bools, Codes, Floats, Ints

FLOOR_SECONDS = 0.1  # network, scheduling, one step of the engine
PREFILL_SECONDS = 0.2  # of 500 tokens that no cache knows, on an idle replica
ITL_SECONDS = 0.0195  # on an idle replica
TTFT_BY_LOAD, ITL_BY_LOAD, BEND = 0.12, 0.16, 0.06  # factor 1 + a rho + b rho^2, rho 1 at usual load
FULL = 3.0  # rho from which the batch is full
LONG_TAIL = 0.003  # share of requests that wait for something rare
MOST_SECONDS = 60.0  # of a first token


@dataclass(frozen=True)
class Prompts:
    """Tokens of each request."""

    prompt: Ints
    cached: Ints
    output: Ints


@dataclass(frozen=True)
class Conditions:
    """What serving depends on besides the load, for each request.

    Attributes:
        ttft_factor, itl_factor: Noise, hardware, incidents and the fault under test, multiplied.
        extra_seconds: A stall that the first token waits for.
        ends_at_once: Fails before it is served, and so puts no load on the replica.
    """

    ttft_factor: Floats
    itl_factor: Floats
    extra_seconds: Floats
    ends_at_once: Bools


@dataclass(frozen=True)
class Served:
    """Seconds from sending to the first token, and between tokens."""

    ttft_seconds: Floats
    itl_seconds: Floats


def prompts(rng: np.random.Generator, hit_share: Floats) -> Prompts:
    """Lengths are log-normal; a cache hit covers 40 to 95 % of the prompt.

    Args:
        hit_share: Chance of a hit, for each request.
    """
    count = len(hit_share)
    prompt = np.clip(np.exp(6.2 + 0.9 * rng.standard_normal(count)), 8, 16000).astype(np.int64)
    hit = rng.random(count) < hit_share
    cached = np.where(hit, prompt * rng.uniform(0.4, 0.95, count), 0).astype(np.int64)
    output = np.clip(np.exp(5.0 + 0.85 * rng.standard_normal(count)), 2, 2000).astype(np.int64)
    return Prompts(prompt, cached, output)


def serve(
    rng: np.random.Generator,
    sent_at: Floats,
    replica: Codes,
    tokens: Prompts,
    given: Conditions,
    usual_in_flight: float,
    prefill_work: float,
) -> Served:
    """All requests on all replicas; requests are in order of time.

    Args:
        usual_in_flight: Requests in flight on a baseline replica before the rollout: the load called 1.
        prefill_work: Seconds that a prompt of 500 new tokens keeps the replica's prefill busy.
    """
    count = len(sent_at)
    new_tokens = ((tokens.prompt - tokens.cached) / 500.0) ** 0.8
    shape = np.exp(np.clip(0.16 * rng.standard_t(4, count), -1.5, 2.5))
    rare = rng.random(count) < LONG_TAIL
    shape[rare] *= 1 + rng.pareto(1.5, int(rare.sum()))
    own_ttft = (FLOOR_SECONDS + PREFILL_SECONDS * new_tokens) * shape * given.ttft_factor
    own_itl = ITL_SECONDS * np.exp(0.07 * rng.standard_normal(count)) * given.itl_factor
    work = np.where(given.ends_at_once, 0.0, prefill_work * new_tokens * given.ttft_factor)
    order = np.argsort(replica, kind="stable")
    bounds = np.flatnonzero(np.diff(replica[order])) + 1
    groups = np.split(order, bounds)
    wait = np.empty(count)
    for group in groups:
        wait[group] = _queue_seconds(sent_at[group], work[group])
    ttft, itl = own_ttft + wait, own_itl
    for _ in range(3):
        present = _in_flight(groups, sent_at, ttft + itl * tokens.output, given.ends_at_once)
        load = np.minimum(present / usual_in_flight, FULL)
        slower = BEND * load * load
        ttft = wait + own_ttft * (1 + TTFT_BY_LOAD * load + slower) + given.extra_seconds
        itl = own_itl * (1 + ITL_BY_LOAD * load + slower / 2)
    return Served(np.minimum(ttft, MOST_SECONDS), itl)


def _queue_seconds(arrives: Floats, work: Floats) -> Floats:
    """Waits before a single server, first come first served.

    Source: Lindley 1952: W(n+1) = max(0, W(n) + work(n) - gap), summed up and reflected at its minimum.
    """
    if not len(arrives):
        return np.zeros(0)
    walk = np.concatenate([[0.0], np.cumsum(work[:-1] - np.diff(arrives))])
    waits: Floats = walk - np.minimum.accumulate(np.minimum(walk, 0.0))
    return waits


def _in_flight(groups: list[Ints], sent_at: Floats, seconds: Floats, absent: Bools) -> Floats:
    """Requests under way on its replica when each arrives."""
    found = np.empty(len(sent_at))
    for group in groups:
        here = sent_at[group]
        counts = np.concatenate([[0], np.cumsum(~absent[group])])[:-1]
        ends = np.sort((here + seconds[group])[~absent[group]])
        found[group] = counts - np.searchsorted(ends, here, side="right")
    return found
