"""Is the canary's TTFT longer than 1.10 x the baseline's? A sequential e-value on paired probes.

Owns DECISION's filtered difference for small fleets, fed by paired probes alone: each pair asked both arms
the same thing at the same moment, so load and drift that both share cancel. Refuses to decide, and to see
what pairs cannot show: a canary replica that carries more users' load than a stable one looks slower without
being slower, so callers hand in only pairs taken at comparable load, of warm replicas.

Model of a 10 s bin's mean log-ratio d without harm: ln 1.10 + a static difference of machines + slow noise
(Ornstein-Uhlenbeck, 120 s) + the mean of the pairs' own noise, whose variance is learned from earlier bins.
A Kalman filter follows the two slow parts; each onset carries the filter's response to a step along, and
bets on what the filter cannot yet have absorbed. Innovations larger than the model's raise V from then on.

Honest limits. It needs 8 pairs before it bets at all. A slowdown that grows slower than the noise wanders
is absorbed, and so is a small one. The e-value is exact for the model, not for every noise: heavy tails are
clipped, and queueing is met only by the learned V. A p99-only regression is not found.
Simulated, alone against 555 (its weight in the rule), a pair every 2 s for 900 s, pairs' own sd .42: false in
0 of 300 with replicas' noise .10, 0 of 300 with queueing of sd .3 over 10 s added on each arm, 4 of 300 with
sd .6. Found: x3 in 70 s, x2 in 370 s (285 s with a pair a second of sd .21), x1.5 in one of five. That is
slower than DECISION's rule, which adjusts for the load on each replica and need not fear queueing as much.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

BIN_SECONDS = 10.0
MARGIN = 1.10
EFFECTS = (0.12, 0.25, 0.45, 0.9)
FIRST_ONSET = 0.5
CORRELATION_SECONDS = 120.0
WANDER_VARIANCE = 2 * 0.09**2  # sigma_u with probes; kappa = 2: one replica each
MACHINE_VARIANCE = 2 * 0.03**2
V_INFLATION = 1.15 * 1.25
MIN_PAIRS = 8  # arbitrary: the pairs' own noise must be known before a bet
PRIOR_VARIANCE, PRIOR_PAIRS = 0.3**2, 4.0
PRIOR_INNOVATIONS = 10.0
CLIP_SD = 3.0
PHI = math.exp(-BIN_SECONDS / CORRELATION_SECONDS)


@dataclass
class _State:
    start: float
    planned_bins: int
    next_bin: int = 0
    pending: list[tuple[float, float]] = field(default_factory=list)  # known at, log-ratio
    pairs: int = 0
    freedom: float = 0.0  # within-bin degrees of freedom so far
    squares: float = 0.0
    previous: float | None = None  # last pair's log-ratio, for the first variance
    machine: float = 0.0
    wander: float = 0.0
    p00: float = MACHINE_VARIANCE
    p01: float = 0.0
    p11: float = WANDER_VARIANCE
    innovations: float = 0.0  # sum of e^2 / F
    bins: int = 0
    response_machine: list[float] = field(default_factory=list)  # alpha of each onset
    response_wander: list[float] = field(default_factory=list)  # upsilon of each onset
    log_bets: list[list[float]] = field(default_factory=lambda: [[] for _ in EFFECTS])
    weighted_sum: float = 0.0
    weight: float = 0.0


class TtftEvidence:
    """Feed pairs with `add`, ask `evidence`; bins begin at `start`."""

    def __init__(self, start: float, planned_seconds: float = 1800.0) -> None:
        self._s = _State(start, max(1, math.ceil(planned_seconds / BIN_SECONDS)))

    @property
    def pairs(self) -> int:
        """Pairs in closed bins."""
        return self._s.pairs

    @property
    def seconds(self) -> float:
        """The closed bins' time."""
        return self._s.next_bin * BIN_SECONDS

    @property
    def effect_ratio(self) -> float | None:
        """Mean ratio canary / baseline so far; None before the first closed bin."""
        return math.exp(self._s.weighted_sum / self._s.weight) if self._s.weight else None

    @property
    def effect_interval(self) -> tuple[float, float] | None:
        """95 % interval of the ratio; what machines and slow noise may add is in it."""
        if not self._s.weight:
            return None
        slow = self._s.p00 + 2 * self._s.p01 + self._s.p11
        half = 1.96 * math.sqrt(self._variance() / self._s.weight + slow)
        middle = self._s.weighted_sum / self._s.weight
        return math.exp(middle - half), math.exp(middle + half)

    def add(self, at: float, canary_seconds: float, baseline_seconds: float) -> None:
        """One pair, known at `at`; values must be above 0, others are ignored."""
        if canary_seconds > 0 and baseline_seconds > 0:
            self._s.pending.append((at, math.log(canary_seconds / baseline_seconds)))

    def evidence(self, now: float) -> float:
        """The e-value at `now`; 1 while nothing could be said."""
        s = self._s
        while s.start + (s.next_bin + 1) * BIN_SECONDS <= now:
            self._close_bin(s.start + (s.next_bin + 1) * BIN_SECONDS)
            s.next_bin += 1
        spent = min(len(s.response_machine), s.planned_bins)
        if not spent:
            return 1.0
        prior = np.full(spent, (1 - FIRST_ONSET) / max(1, s.planned_bins - 1))
        prior[0] = FIRST_ONSET
        bets = [prior @ np.exp(np.minimum(700.0, np.array(row[:spent]))) for row in s.log_bets]
        return float(np.mean(bets) + 1 - prior.sum())

    def _close_bin(self, end: float) -> None:
        s = self._s
        values = [d for at, d in s.pending if at < end]
        s.pending = [row for row in s.pending if row[0] >= end]
        if values and s.pairs >= MIN_PAIRS:
            self._bet(self._clipped(values))
        self._learn(values)
        # Every bin, seen or not, lets the slow noise forget.
        s.wander *= PHI
        s.p01 *= PHI
        s.p11 = PHI**2 * s.p11 + WANDER_VARIANCE * (1 - PHI**2)
        s.response_wander = [u * PHI for u in s.response_wander]

    def _variance(self) -> float:
        s = self._s
        return (s.squares + PRIOR_VARIANCE * PRIOR_PAIRS) / (s.freedom + PRIOR_PAIRS)

    def _clipped(self, values: list[float]) -> list[float]:
        """Pairs are held within 3 sd of their bin's median, so that one stuck request is not a slowdown."""
        middle, reach = float(np.median(values)), CLIP_SD * math.sqrt(self._variance())
        return [min(max(d, middle - reach), middle + reach) for d in values]

    def _learn(self, values: list[float]) -> None:
        """The pairs' own variance from successive differences: a step or drift hardly enters it."""
        s = self._s
        for d in values:
            if s.previous is not None:
                s.squares += (d - s.previous) ** 2 / 2
                s.freedom += 1
            s.previous = d
        s.pairs += len(values)
        s.weighted_sum += sum(values)
        s.weight += len(values)

    def _bet(self, values: list[float]) -> None:
        s = self._s
        f = s.p00 + 2 * s.p01 + s.p11 + self._variance() / len(values)
        excess = (s.innovations + PRIOR_INNOVATIONS) / (s.bins + PRIOR_INNOVATIONS)
        v = V_INFLATION * f * max(1.0, excess)
        e = float(np.mean(values)) - math.log(MARGIN) - s.machine - s.wander
        self._open_onset()
        if e < -CLIP_SD * math.sqrt(v):
            return
        e = min(e, CLIP_SD * math.sqrt(v))
        g0, g1 = (s.p00 + s.p01) / f, (s.p01 + s.p11) / f
        x = 1 - np.array(s.response_machine) - np.array(s.response_wander)
        for i, delta in enumerate(EFFECTS):
            s.log_bets[i] = (np.array(s.log_bets[i]) + (delta * x * e - (delta * x) ** 2 / 2) / v).tolist()
        s.response_machine = (np.array(s.response_machine) + g0 * x).tolist()
        s.response_wander = (np.array(s.response_wander) + g1 * x).tolist()
        s.machine, s.wander = s.machine + g0 * e, s.wander + g1 * e
        s.p00, s.p01, s.p11 = s.p00 - g0 * g0 * f, s.p01 - g0 * g1 * f, s.p11 - g1 * g1 * f
        s.innovations += e * e / f
        s.bins += 1

    def _open_onset(self) -> None:
        self._s.response_machine.append(0.0)
        self._s.response_wander.append(0.0)
        for row in self._s.log_bets:
            row.append(0.0)

    def state(self) -> dict[str, Any]:
        return asdict(self._s)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(0.0)
        self._s = _State(**state)
        self._s.pending = [(at, d) for at, d in state["pending"]]
        return self
