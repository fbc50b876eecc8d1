"""A kind of rollout, and one rollout of that kind from a seed.

Owns what can vary and puts the parts together: arrivals, fleet, noise, incidents, the fault, service. One
seed gives one rollout, on every machine.
"""

import zlib
from dataclasses import dataclass, fields

import numpy as np

from benchmarks.decisions import rollout as form
from benchmarks.decisions.arrivals import Arrivals, merged, probes, users, without
from benchmarks.decisions.evals import evals
from benchmarks.decisions.faults import FAULTS, HANG_SECONDS, Effect, effect
from benchmarks.decisions.fleet import Fleet, autoscaled, fleet
from benchmarks.decisions.incidents import Trouble, outage, replica_incidents, slowness, trouble
from benchmarks.decisions.noise import at_times, static, wander
from benchmarks.decisions.rollout import Floats, Requests, Rollout, Step
from benchmarks.decisions.service import Conditions, Prompts, Served, prompts, serve

STEP_SECONDS, HISTORY_SECONDS = 900.0, 600.0
WEIGHTS = (5, 25)
CANARY_REQUESTS = {"L": 50, "M": 500, "H": 5000}  # about as many in the step at 5 %
FLEETS = {"20": ((1, 19), (5, 15)), "1+1": ((1, 1),) * 2, "1+2": ((1, 2),) * 2, "2+2": ((2, 2),) * 2}
EVAL_ITEMS = 400
MEAN_SECONDS = 5.2  # of a request, for the load that is called usual
LEAST_USUAL = 8.0  # requests in flight; a replica with fewer is nearly idle
BACKGROUND_ERRORS = 0.0045  # of all requests, whatever the build
COLD_FACTOR, COLD_SECONDS = 2.0, 70.0  # a cold replica takes 1 + 2 exp(-t/70) times as long
USUAL_HITS = 0.5  # of the prefix cache


@dataclass(frozen=True)
class Scenario:
    """Everything that tells one kind of rollout from another.

    Attributes:
        fleet: A key of `FLEETS`: replicas of canary + baseline; 20 moves replicas to the canary.
        traffic: A key of `CANARY_REQUESTS`.
        fault: A key of `faults.FAULTS`.
        noise: 1 for quiet replicas.
        drift: Amplitude of the load's slow swing, and of a common drift of latency, as log.
        outages: How many strike both arms.
        incident: The first canary replica is slow for half a minute or so, once; not the build's fault.
        cold: Canary replicas serve as soon as they are ready (`events` say when), and are slow at first.
        canary_hits: Chance of a prefix-cache hit on the canary; the baseline's is .5.
        slow_canary: Its first replica stands on hardware 10 to 20 % slower.
        autoscaler: On the baseline alone.
        unequal: Routing spreads traffic over an arm's replicas unevenly.
        probe_every_seconds: Paired probes; 0 for none.
        no_data: The canary gets no request.
    """

    fleet: str = "20"
    traffic: str = "M"
    fault: str = "null"
    noise: float = 1.0
    drift: float = 0.08
    outages: int = 0
    incident: bool = False
    cold: bool = False
    canary_hits: float = USUAL_HITS
    slow_canary: bool = False
    autoscaler: bool = False
    unequal: bool = False
    probe_every_seconds: float = 0.0
    no_data: bool = False

    @property
    def key(self) -> str:
        """All that differs from the default, as text; the same scenario has the same rollouts everywhere."""
        changed = (
            (f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default
        )
        return ",".join(f"{name}={value}" for name, value in changed)

    def steps(self) -> tuple[Step, ...]:
        sizes = zip(WEIGHTS, FLEETS[self.fleet], strict=True)
        return tuple(Step(i * STEP_SECONDS, weight, *size) for i, (weight, size) in enumerate(sizes))

    @property
    def rate(self) -> float:
        """The users' requests a second."""
        return CANARY_REQUESTS[self.traffic] / STEP_SECONDS / (WEIGHTS[0] / 100)


def generate(scenario: Scenario, seed: int) -> Rollout:
    """One rollout."""
    rng = np.random.default_rng([zlib.crc32(scenario.key.encode()), seed])
    steps = scenario.steps()
    end = len(steps) * STEP_SECONDS
    machines = fleet(rng, steps, -HISTORY_SECONDS, end, 0.5 if scenario.unequal else 0.08)
    if scenario.autoscaler:
        machines = autoscaled(rng, machines)
    arrivals = _arrivals(rng, scenario, machines, steps)
    incidents = replica_incidents(rng, machines)
    for _ in range(scenario.outages):
        incidents += outage(rng, machines)
    if scenario.incident:
        incidents.append(slowness(rng, 0, float(rng.uniform(0, end - 60))))
    shared = trouble(rng, incidents, arrivals.sent_at, arrivals.replica)
    wrong = effect(rng, scenario.fault, arrivals.sent_at[arrivals.canary])
    given, tokens = _conditions(rng, scenario, machines, arrivals, shared, wrong)
    usual = scenario.rate / steps[0].baseline_replicas
    busy = min(0.1, float(rng.uniform(0.2, 0.4)) / usual)
    served = serve(
        rng, arrivals.sent_at, arrivals.replica, tokens, given, max(LEAST_USUAL, usual * MEAN_SECONDS), busy
    )
    requests = _requests(rng, arrivals, tokens, served, shared, wrong)
    events = machines.events(scenario.cold)
    items = evals(rng, 0 if scenario.no_data else EVAL_ITEMS, end, FAULTS[scenario.fault].eval_points)
    return Rollout(steps, end, -HISTORY_SECONDS, machines.names, requests, items, events)


def _arrivals(
    rng: np.random.Generator, scenario: Scenario, machines: Fleet, steps: tuple[Step, ...]
) -> Arrivals:
    arrivals = users(rng, machines, steps, scenario.rate, scenario.drift)
    if scenario.no_data:
        arrivals = without(arrivals, arrivals.canary)
    if scenario.probe_every_seconds:
        arrivals = merged(arrivals, probes(rng, machines, scenario.probe_every_seconds, WEIGHTS[0]))
    return arrivals


def _conditions(
    rng: np.random.Generator,
    scenario: Scenario,
    machines: Fleet,
    arrivals: Arrivals,
    shared: Trouble,
    wrong: Effect,
) -> tuple[Conditions, Prompts]:
    """Noise, hardware, cold starts, incidents and the fault, for each request; and its prompt."""
    sent_at, replica, canary = arrivals.sent_at, arrivals.replica, arrivals.canary
    hits = np.where(canary, scenario.canary_hits, USUAL_HITS)
    tokens = _same_prompts(prompts(rng, hits), arrivals)
    ttft, itl = _noise(rng, scenario, machines, arrivals)
    if scenario.slow_canary:
        slower = float(rng.uniform(1.1, 1.2))
        ttft[replica == 0] *= slower
        itl[replica == 0] *= slower
    if scenario.cold:
        age = sent_at[canary] - machines.born[replica[canary]]
        cold = 1 + COLD_FACTOR * np.exp(-age / COLD_SECONDS)
        ttft[canary] *= cold
        itl[canary] *= np.sqrt(cold)
    ttft *= shared.slower
    itl *= shared.slower
    ttft[canary] *= wrong.ttft_factor
    itl[canary] *= wrong.itl_factor
    at_once = np.zeros(len(sent_at), np.bool_)
    at_once[canary] = wrong.refused
    return Conditions(ttft, itl, shared.stalled_seconds, at_once), tokens


def _same_prompts(tokens: Prompts, arrivals: Arrivals) -> Prompts:
    """The two probes of a pair ask the same; nobody has asked it before, so no cache has it."""
    probe = np.flatnonzero(arrivals.pair >= 0)
    first = probe[np.searchsorted(arrivals.pair[probe], arrivals.pair[probe], side="left")]
    for column in (tokens.prompt, tokens.output):
        column[probe] = column[first]
    tokens.cached[probe] = 0
    return tokens


def _noise(
    rng: np.random.Generator, scenario: Scenario, machines: Fleet, arrivals: Arrivals
) -> tuple[Floats, Floats]:
    """Factors of TTFT and of ITL, half of whose noise is the same."""
    count, seconds = len(machines.canary), machines.end - machines.start
    since = arrivals.sent_at - machines.start
    code = arrivals.replica.astype(np.int64)
    grids = [wander(rng, count, seconds, scenario.noise) for _ in range(2)]
    lasting = [static(rng, count) for _ in range(2)]
    both = at_times(grids[0], code, since) + lasting[0][code]
    other = at_times(grids[1], code, since) + lasting[1][code]
    swing = np.sin(2 * np.pi * (since / rng.uniform(2400, 7200) + rng.random()))
    common = scenario.drift * swing
    return np.exp(both + common), np.exp(0.4 * both + 0.35 * other + 0.3 * common)


def _requests(
    rng: np.random.Generator,
    arrivals: Arrivals,
    tokens: Prompts,
    served: Served,
    shared: Trouble,
    wrong: Effect,
) -> Requests:
    """Times and outcomes. A failure comes before the first token, or in the middle of the stream."""
    count = len(arrivals.sent_at)
    failed = shared.failed | (rng.random(count) < BACKGROUND_ERRORS)
    failed[arrivals.canary] |= wrong.failed
    refused, hangs = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    refused[arrivals.canary], hangs[arrivals.canary] = wrong.refused, wrong.hangs & ~wrong.failed
    early = failed & (rng.random(count) < 0.6)
    first = arrivals.sent_at + served.ttft_seconds
    finished = first + served.itl_seconds * (tokens.output - 1)
    part = rng.random(count)
    finished = np.where(failed, first + part * (finished - first), finished)
    finished = np.where(early, arrivals.sent_at + part * served.ttft_seconds, finished)
    finished = np.where(refused, arrivals.sent_at + 0.002, finished)
    finished = np.where(hangs, arrivals.sent_at + HANG_SECONDS, finished)
    first[early | refused | hangs] = np.nan
    itl = np.where(np.isnan(first), np.nan, served.itl_seconds)
    outcome = np.select([refused, hangs, failed], [form.REFUSED, form.TIMEOUT, form.ERROR], form.OK)
    output = np.where(outcome == form.OK, tokens.output, 0)
    return Requests(
        arrivals.source,
        arrivals.pair,
        arrivals.canary,
        arrivals.replica,
        arrivals.weight_percent,
        arrivals.sent_at,
        first,
        itl,
        finished,
        outcome.astype(np.int32),
        tokens.prompt,
        tokens.cached,
        output,
    )
