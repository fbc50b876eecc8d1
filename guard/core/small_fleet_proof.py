"""Proof that a canary is not slower by the margin, in a fleet of fewer than 8 baseline replicas.

Owns what each bin of 10 s shows of the two claims of DESIGN 5.7: the difference of the arms' mean scores at
one load, for the body (`difference_proof`), and how many values of each arm lie above its line, for the tail
(`tail_proof`: TTFT alone). The same filter, load slope and variances as the evidence of harm, with the margin
at 1.25; begun anew with each step. Paired probes are a second observation of the difference, and say nothing
of the tail.

Where loads differ so much that a slowdown may hide (`load_differs`), e-values stand for nothing: hold.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self

import numpy as np

from guard.core.difference_proof import PROOF_MARGIN, DifferenceProof
from guard.core.latency_baseline import LatencyBaseline
from guard.core.latency_scale import LatencyScale
from guard.core.load_match import LoadMatch
from guard.core.observations import Floats, Latencies
from guard.core.pair_noise import PairNoise
from guard.core.small_fleet import Signal, SmallFleet
from guard.core.small_fleet_bins import SmallFleetBins
from guard.core.tail_proof import TailProof


class SmallFleetProof:
    """One signal of one source: the interface of `rank_proof.RankProof`, and pairs."""

    def __init__(self, signal: Signal, start: float) -> None:
        self._bins = SmallFleetBins(start)
        self._fleet = SmallFleet(signal)
        self._baseline, self._pair_noise, self._match = (
            LatencyBaseline(self._fleet.reach),
            PairNoise(),
            LoadMatch(),
        )
        self._scale = LatencyScale()  # of ln X at one load, for the tail
        self._body, self._tail = DifferenceProof(), TailProof()
        self._begun = False  # in this step

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        """Starts again: what the canary did at another weight proves nothing of this one."""
        self._close(now)
        self._fleet = self._fleet.sized(canary_replicas, baseline_replicas)
        self._match.start_step()
        self._body, self._begun = DifferenceProof(), False
        self._tail.start_step()

    def add(self, seen: Latencies) -> None:
        """Requests whose latency became known; what is no latency is left out."""
        self._bins.add(seen)

    def add_pairs(self, at: Floats, log_ratio: Floats) -> None:
        """Paired probes: ln(canary / baseline), known at `at`. Their requests are not given to `add`, too."""
        self._bins.add_pairs(at, log_ratio)

    def evidence(self, now: float) -> dict[str, float]:
        """An e-value for `body`, and for TTFT `q95`, against "slower by 1.25 or more"; 1 before any bin."""
        self._close(now)
        body = {"body": self._body.evidence()}
        return body | {"q95": self._tail.evidence()} if self._fleet.signal == "ttft" else body

    @property
    def information(self) -> float:
        """What the body's bins of this step would show of a slowdown; for `power`."""
        return self._body.information

    @property
    def loads(self) -> tuple[float, float] | None:
        """Mean requests in flight that this step's requests met: canary, baseline; None where too few say."""
        return self._match.means

    @property
    def load_differs(self) -> bool:
        """Loads are so far apart in this step that live traffic shows neither a slowdown nor its absence."""
        return self._match.differs(self._baseline.slope.known)

    def _close(self, now: float) -> None:
        for bin_ in self._bins.close(now):
            self._close_bin(bin_.live, bin_.rows, bin_.pairs)

    def _close_bin(self, live: bool, rows: Floats, pairs: Floats) -> None:
        self._fleet = replace(self._fleet, unknown=self._fleet.unknown or pairs.size > 0)
        shift = self._take_traffic(live, rows) if rows.size else 0.0
        self._pair_noise.add(pairs)
        if live and pairs.size and self._pair_noise.known:
            d = float(self._pair_noise.clipped(pairs).mean()) - shift
            self._observe(d, self._pair_noise.variance / pairs.size)
        self._baseline.end_bin(self._fleet.wander_prior)
        self._scale.forget(10.0)
        self._body.end_bin(self._fleet.kappa * self._fleet.wander(self._baseline))

    def _take_traffic(self, live: bool, rows: Floats) -> float:
        """Bets on a bin's requests and learns from the baseline's; gives load's part in the difference."""
        canary, usual, shift = rows[1] > 0, self._baseline, 0.0
        replica, log_seconds, in_flight = rows[2].astype(np.int32), np.log(rows[3]), rows[4]
        correction = usual.slope.correction(in_flight)
        ours, theirs = (log_seconds - correction)[canary], (log_seconds - correction)[~canary]
        z = usual.scores(theirs) if theirs.size and usual.known else None
        if live:
            self._match.add(in_flight[canary], in_flight[~canary], usual.slope.usual)
        if live and ours.size and theirs.size:
            shift = float(correction[canary].mean() - correction[~canary].mean())
            self._count_tail(ours, theirs)
            if z is not None:
                self._compare(ours, float(z.mean()), theirs.size)
        if z is not None:
            wander = self._fleet.wander(usual)
            usual.learn_variances(replica[~canary], z, self._fleet.baseline_replicas, wander)
        usual.learn(replica[~canary], log_seconds[~canary], in_flight[~canary])
        self._scale.add(theirs)
        return shift

    def _compare(self, canary: Floats, usual_score: float, n_b: int) -> None:
        usual, fleet, log_margin = self._baseline, self._fleet, math.log(PROOF_MARGIN)
        noise = usual.own_variance * (1 / canary.size + 1 / n_b)
        off = usual.off_level(usual_score, n_b, fleet.baseline_replicas, fleet.wander(usual))
        d = usual.sigma * (float(usual.scores(canary, log_margin).mean()) - usual_score) + log_margin
        self._observe(d, noise + off**2)

    def _observe(self, d: float, variance: float) -> None:
        fleet, usual = self._fleet, self._baseline
        if not self._begun:
            self._begun = True
            self._body.start_step(fleet.kappa * fleet.machines(usual), fleet.kappa * fleet.wander(usual))
        self._body.observe(d, variance, fleet.inflation)

    def _count_tail(self, canary: Floats, baseline: Floats) -> None:
        if not self._scale.known:
            return
        line = float(self._scale.log_quantiles((0.95,))[0])
        above = int(np.count_nonzero(canary > line + math.log(PROOF_MARGIN)))
        self._tail.observe(above, canary.size, int(np.count_nonzero(baseline > line)), baseline.size)

    def state(self) -> dict[str, Any]:
        """JSON values; nan never."""
        return {
            "fleet": asdict(self._fleet),
            "begun": self._begun,
            **{name: getattr(self, f"_{name}").state() for name in _PARTS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["fleet"]["signal"], state["bins"]["start"])
        self._begun = state["begun"]
        self._fleet = SmallFleet(**state["fleet"])
        for name, part in _PARTS.items():
            setattr(self, f"_{name}", part.from_state(state[name]))
        return self


_PARTS: dict[str, Any] = {
    "bins": SmallFleetBins,
    "baseline": LatencyBaseline,
    "pair_noise": PairNoise,
    "match": LoadMatch,
    "scale": LatencyScale,
    "body": DifferenceProof,
    "tail": TailProof,
}
