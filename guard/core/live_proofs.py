"""What NonInferior wants proven on live traffic, and how far each claim is: fed beside the evidence of harm.

Owns which claims are asked: TTFT and errors always; the tail of TTFT, and ITL, where users' requests are seen
one by one; quality where items are answered online. A claim of which no source could ever speak would make
the policy a lock without a key; the others' checks say what was not asked. Anew with each step, but for
quality. Refuses to decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np

from guard.core.bin_buffer import MOST_BINS_AT_ONCE, BinBuffer
from guard.core.check import Check
from guard.core.comparison import PairedItem
from guard.core.error_proof import ErrorProof
from guard.core.observations import Bools, Codes, Floats, Latencies
from guard.core.promotion import CLAIMS, Claim, Proof, proof_checks
from guard.core.quality_proof import QualityProof
from guard.core.rank_proof import RankProof
from guard.core.small_fleet import Signal
from guard.core.small_fleet_proof import SmallFleetProof

_LATENCIES: tuple[Signal, ...] = ("ttft", "itl")
_HIDDEN = "the arms carry different load, at which a slowdown may not show"


class LiveProofs:
    """The proofs of one rollout; times as everywhere in the rule."""

    def __init__(self, start: float, large_fleet: bool) -> None:
        kind = RankProof if large_fleet else SmallFleetProof
        self._large_fleet, self._start = large_fleet, start
        self._latency: dict[str, RankProof | SmallFleetProof] = {s: kind(s, start) for s in _LATENCIES}
        self._samples: dict[str, int] = {"ttft": 0, "itl": 0, "errors": 0, "quality": 0}  # of the canary
        self._one_by_one = False
        self._errors = ErrorProof()
        self._results, self._next_bin = BinBuffer(start, 5), 0
        self._quality = QualityProof()
        self._step_at = start

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        """What the canary did at another weight proves nothing of this one."""
        self._close(now)
        for proof in self._latency.values():
            proof.start_step(now, canary_replicas, baseline_replicas)
        self._errors.start_step()
        self._samples = dict.fromkeys(self._samples, 0) | {"quality": self._samples["quality"]}
        self._step_at = now

    def add_latencies(self, signal: Signal, seen: Latencies) -> None:
        """Warm requests of users."""
        self._one_by_one = self._one_by_one or len(seen.at) > 0
        self._latency[signal].add(seen)
        self._samples[signal] += int((seen.canary & (seen.at >= self._step_at)).sum())

    def add_pairs(self, at: Floats, log_ratio: Floats) -> None:
        """Paired probes of a small fleet."""
        ttft = self._latency["ttft"]
        if isinstance(ttft, SmallFleetProof):
            ttft.add_pairs(at, log_ratio)
            self._samples["ttft"] += len(at)

    def add_results(self, at: Floats, canary: Bools, replica: Codes, requests: Floats, bad: Floats) -> None:
        """Requests that ended, in groups of one replica; of one source."""
        fine = np.isfinite(at) & (at >= self._start)
        self._results.add(np.array((at, canary, replica, requests, bad), float)[:, fine])
        self._samples["errors"] += int(requests[canary & (at >= self._step_at)].sum())

    def add_items(self, items: Iterable[PairedItem]) -> None:
        for item in items:
            self._quality.add(item.baseline_pass, item.canary_pass)
            self._samples["quality"] += 1

    def _close(self, now: float) -> None:
        end = self._results.ended(now) if np.isfinite(now) else self._next_bin
        first = max(self._next_bin, end - MOST_BINS_AT_ONCE)
        if end <= self._next_bin:
            return
        for rows in self._results.take(first, end):
            if rows.size:
                ours, theirs = _counts(rows[:, rows[1] > 0]), _counts(rows[:, rows[1] <= 0])
                self._errors.observe(*ours, *theirs)
        self._next_bin = end

    def checks(self, now: float) -> list[Check]:
        """A check for each claim that is asked: PASS where it is proven, else INCONCLUSIVE."""
        self._close(now)
        seconds = now - self._step_at
        proofs = {
            "errors-non-inferior": Proof(self._errors.evidence(), self._samples["errors"], seconds),
            "quality-non-inferior": Proof(self._quality.evidence(), self._samples["quality"]),
        }
        for signal, latency in self._latency.items():
            found, why_not = latency.evidence(now), _HIDDEN if latency.load_differs else ""
            for part, e in found.items():
                name = f"{signal}-q95-non-inferior" if part == "q95" else f"{signal}-non-inferior"
                shown = Proof(e, self._samples[signal], seconds)
                proofs[name] = replace(shown, evidence=None, why_not=why_not) if why_not else shown
        return proof_checks(proofs, self._asked())

    def _asked(self) -> list[Claim]:
        names = {"ttft-non-inferior", "errors-non-inferior"}
        if self._one_by_one:
            names |= {"ttft-q95-non-inferior", "itl-non-inferior"}
        if self._samples["quality"]:
            names.add("quality-non-inferior")
        return [claim for claim in CLAIMS if claim.name in names]

    def state(self) -> dict[str, Any]:
        return {
            "start": self._start,
            "large_fleet": self._large_fleet,
            "latency": {signal: proof.state() for signal, proof in self._latency.items()},
            "samples": self._samples,
            "one_by_one": self._one_by_one,
            "errors": self._errors.state(),
            "results": self._results.state(),
            "next_bin": self._next_bin,
            "quality": self._quality.wealth,
            "step_at": self._step_at,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["start"], state["large_fleet"])
        kind = RankProof if self._large_fleet else SmallFleetProof
        self._latency = {signal: kind.from_state(proof) for signal, proof in state["latency"].items()}
        self._samples, self._one_by_one = dict(state["samples"]), state["one_by_one"]
        self._errors = ErrorProof.from_state(state["errors"])
        self._results = BinBuffer.from_state(self._start, state["results"])
        self._next_bin, self._step_at = state["next_bin"], state["step_at"]
        self._quality = QualityProof(state["quality"])
        return self


def _counts(rows: Floats) -> tuple[Floats, Floats]:
    """Bad and all requests of one arm, by replica code."""
    replica = rows[2].astype(np.int64)
    return np.bincount(replica, rows[4]).astype(float), np.bincount(replica, rows[3]).astype(float)
