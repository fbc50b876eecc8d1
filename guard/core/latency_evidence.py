"""Is the canary slower than the baseline, in a fleet of fewer than 8 baseline replicas? TTFT or ITL.

Owns DECISION's "TTFT and ITL, small fleet": each bin's difference of the arms' scores at one load, followed
by a filter that knows how replicas differ without harm. Paired probes, where there are any, are a second
observation of the same difference. Refuses to decide. Says nothing (1) until it has seen what is usual: 20
values of the baseline, or 8 pairs; a bin in which an arm is silent is no bet.

Two e-values. `evidence` allows for replicas that differ for good, by some 3 %; `hold_evidence` has the
smaller margin and takes replicas for equal, so it sees a canary that is slower where a slower machine and a
slower build cannot be told apart: a reason to hold, not to roll back.

Honest limits. What grows slower than the noise wanders is absorbed. An incident of one canary replica that
lasts a minute looks like a fault while it lasts. A p99-only regression is not found.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np

from guard.core.bin_buffer import BIN_SECONDS
from guard.core.latency_baseline import LatencyBaseline
from guard.core.latency_effect import LatencyEffect
from guard.core.latency_filter import DifferenceFilter
from guard.core.latency_seen import LatencySeen
from guard.core.load_match import LoadMatch
from guard.core.observations import Floats, Latencies
from guard.core.pair_drift import PairDrift
from guard.core.pair_noise import PairNoise
from guard.core.small_fleet import HOLD_MARGIN, Signal, SmallFleet
from guard.core.small_fleet_bins import SmallFleetBins


class LatencyEvidence:
    """One signal of one source, from `start` on; the baseline's values before it are its history."""

    def __init__(self, signal: Signal, start: float, planned_seconds: float = 1800.0) -> None:
        planned = max(1, math.ceil(planned_seconds / BIN_SECONDS))
        self._bins = SmallFleetBins(start)
        self._fleet = SmallFleet(signal)
        self._baseline = LatencyBaseline(self._fleet.reach)
        self._pair_noise, self._pair_drift = PairNoise(), PairDrift()
        self._filter, self._hold = DifferenceFilter(planned), DifferenceFilter(planned)
        self._effect, self.seen, self._match = LatencyEffect(planned), LatencySeen(), LoadMatch()
        self._cached: tuple[float, float] | None = None

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        """A step begins; replicas that came are unknown machines, and who left takes what was known along."""
        self._close(now)
        before, self._fleet = self._fleet, self._fleet.sized(canary_replicas, baseline_replicas)
        self._match.start_step()
        self._widen(self._fleet.kappa_since(before))

    def add(self, seen: Latencies) -> None:
        """Requests whose latency became known; what is no latency is left out."""
        self._bins.add(seen)

    def add_pairs(self, at: Floats, log_ratio: Floats) -> None:
        """Paired probes: ln(canary / baseline), known at `at`. Their requests are not given to `add`, too."""
        self._bins.add_pairs(at, log_ratio)

    def evidence(self, now: float) -> float:
        """The e-value at `now`; 1 where nothing can be said."""
        return self._evidence(now)[0]

    def hold_evidence(self, now: float) -> float:
        """The same with replicas taken for equal, and the smaller margin."""
        return self._evidence(now)[1]

    def _evidence(self, now: float) -> tuple[float, float]:
        self._close(now)
        if self._cached is None:  # it changes with a bin only, and is asked for at every tick
            self._cached = self._filter.mixture.evidence(), self._hold.mixture.evidence()
        return self._cached

    @property
    def margin(self) -> float:
        """The ratio that is still no harm."""
        return self._fleet.margin

    @property
    def effect(self) -> tuple[float, float, float] | None:
        """Ratio of geometric means at matched load since the likeliest onset, and its 95 % interval."""
        onset, kappa = self._filter.mixture.likeliest, self._fleet.kappa
        machines, wander = self._fleet.machines(self._baseline), self._fleet.wander(self._baseline)
        return self._effect.interval(onset, kappa * machines, kappa * wander)

    @property
    def loads(self) -> tuple[float, float] | None:
        """Mean requests in flight that this step's requests met: canary, baseline; None where too few say."""
        return self._match.means

    @property
    def load_differs(self) -> bool:
        """This step's loads are so far apart that a slowdown may be hidden by the canary's lighter load."""
        return self._match.differs(self._baseline.slope.known)

    def _close(self, now: float) -> None:
        for bin_ in self._bins.close(now):
            self._close_bin(bin_.live, bin_.rows, bin_.pairs)
            self._cached = None

    def _close_bin(self, live: bool, rows: Floats, pairs: Floats) -> None:
        if live:
            self._open_bin()
        shift = self._take_traffic(live, rows) if rows.size else 0.0
        self._pair_noise.add(pairs)
        if live and pairs.size:
            self._compare_pairs(pairs, shift)
        self._pair_drift.end_bin()
        self._baseline.end_bin(self._fleet.wander_prior)
        wander = self._fleet.kappa * self._fleet.wander(self._baseline)
        self._filter.end_bin(wander)
        self._hold.end_bin(wander)

    def _open_bin(self) -> None:
        self._filter.mixture.open()
        self._hold.mixture.open()
        self._effect.open_bin()

    def _take_traffic(self, live: bool, rows: Floats) -> float:
        """Bets on a bin's requests and learns from the baseline's.

        Returns:
            How much longer load alone makes the canary's ln X; 0 where an arm is silent.
        """
        rows, usual = rows[:, np.argsort(rows[1], kind="stable")], self._baseline  # the baseline's rows first
        n_b, n = rows.shape[1] - int(np.count_nonzero(rows[1])), rows.shape[1]
        replica, log_seconds, in_flight = rows[2].astype(np.int32), np.log(rows[3]), rows[4]
        correction, shift = usual.slope.correction(in_flight), 0.0
        adjusted = log_seconds - correction
        z = usual.scores(adjusted[:n_b]) if n_b and usual.known else None
        if live:
            self.seen.add(replica[n_b:], replica[:n_b])
            self._match.add(in_flight[n_b:], in_flight[:n_b], usual.slope.usual)
        if live and 0 < n_b < n:
            shift = _mean(correction[n_b:]) - _mean(correction[:n_b])
            if z is not None:
                self._compare(adjusted[n_b:], adjusted[:n_b], _mean(z))
        if z is not None:
            usual.learn_variances(replica[:n_b], z, self._fleet.baseline_replicas, self._fleet.wander(usual))
        usual.learn(replica[:n_b], log_seconds[:n_b], in_flight[:n_b])
        return shift

    def _compare(self, canary: Floats, baseline: Floats, usual_score: float) -> None:
        """DECISION's step 3: one bin's ln X at one load, and the mean of the baseline's scores."""
        usual, n_b, fleet = self._baseline, baseline.size, self._fleet
        noise = usual.own_variance * (1 / canary.size + 1 / n_b)
        off = usual.off_level(usual_score, n_b, fleet.baseline_replicas, fleet.wander(usual))
        self._begin()
        for filter_, margin in ((self._filter, fleet.margin), (self._hold, HOLD_MARGIN)):
            d = usual.sigma * (_mean(usual.scores(canary, math.log(margin))) - usual_score)
            filter_.observe(d, noise + off**2, fleet.inflation)
        self._effect.add(_mean(canary) - _mean(baseline), noise)
        self.seen.bins += 1

    def _compare_pairs(self, log_ratio: Floats, shift: float) -> None:
        """A second observation of d, or the only one; how it moves widens V from the next bin on."""
        self.seen.pairs += log_ratio.size
        if not self._pair_noise.known:
            return
        d = _mean(self._pair_noise.clipped(log_ratio)) - shift
        if not self._filter.begun and not self._baseline.known:
            self._fleet = replace(self._fleet, unknown=True)
        noise, fleet = self._pair_noise.variance / log_ratio.size, self._fleet
        inflation = fleet.inflation * self._pair_drift.excess(fleet.unknown)
        self._begin()
        for filter_, margin in ((self._filter, fleet.margin), (self._hold, HOLD_MARGIN)):
            filter_.observe(d - math.log(margin), noise, inflation)
        self._pair_drift.add(d, noise, fleet.kappa * fleet.wander(self._baseline))
        self._effect.add(d, noise)

    def _begin(self) -> None:
        """The filters begin with the first comparison, with the variances that are known by then."""
        if not self._filter.begun:
            self._widen(self._fleet.kappa, begin=True)

    def _widen(self, kappa: float, begin: bool = False) -> None:
        wander = kappa * self._fleet.wander(self._baseline)
        if begin or self._filter.begun:
            self._filter.widen(kappa * self._fleet.machines(self._baseline), wander)
            self._hold.widen(kappa * self._fleet.hold_machines(self._baseline), wander)

    def state(self) -> dict[str, Any]:
        """JSON values; nan never."""
        return {
            "fleet": asdict(self._fleet),
            "seen": self.seen.state(),
            **{name: getattr(self, f"_{name}").state() for name in _PARTS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["fleet"]["signal"], state["bins"]["start"])
        self._fleet, self.seen = SmallFleet(**state["fleet"]), LatencySeen.from_state(state["seen"])
        for name, part in _PARTS.items():
            setattr(self, f"_{name}", part.from_state(state[name]))
        return self


def _mean(values: Floats) -> float:
    return float(values.sum()) / values.size


_PARTS: dict[str, Any] = {
    "bins": SmallFleetBins,
    "baseline": LatencyBaseline,
    "pair_noise": PairNoise,
    "pair_drift": PairDrift,
    "match": LoadMatch,
    "filter": DifferenceFilter,
    "hold": DifferenceFilter,
    "effect": LatencyEffect,
}
