"""Which paired probes may say anything about TTFT, and what they say.

Owns joining the two halves of a pair, and leaving out what would compare the wrong thing: cold replicas
(DESIGN 5.8) and steps in which a canary replica carries clearly more users' traffic than a stable one
(5.12): there its probes queue longer because of the load, not because of the change. A canary that carries
less is compared, and may hide a slowdown that load would show; the check says so.
"""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.blocks import PodEvent
from guard.core.check import Check
from guard.core.hard_limits import FIRST_TOKEN_SECONDS
from guard.core.samples import Arm, Outcome, RequestSample
from guard.core.ttft_evidence import TtftEvidence
from guard.core.verdict import Verdict

MORE_LOAD = 1.25  # arbitrary: below it, queueing hardly differs
PARTNER_SECONDS = 120.0
PROOF_RATIO = 1.25  # DESIGN 5.7: TTFT body


class ProbePairs:
    """TTFT evidence of one rollout's probes."""

    def __init__(self, warm_up_seconds: float) -> None:
        self._warm_up_seconds = warm_up_seconds
        self._open: dict[str, tuple[str, float | None, float]] = {}
        self._ready: dict[str, dict[str, float]] = {str(arm): {} for arm in Arm}
        self._weight_percent: int | None = None
        self._left_out = 0
        self.evidence_of_pairs: TtftEvidence | None = None

    def start_step(self, now: float, weight_percent: int, planned_seconds: float) -> None:
        self._weight_percent = weight_percent
        if self.evidence_of_pairs is None:
            self.evidence_of_pairs = TtftEvidence(now, planned_seconds)

    def add_event(self, event: PodEvent) -> None:
        """`ready` starts a replica's warm-up; a replica that is `gone` no longer carries load."""
        if event.kind == "ready":
            self._ready[str(event.arm)][event.replica] = event.at
        elif event.kind == "gone":
            self._ready[str(event.arm)].pop(event.replica, None)

    def add(self, sample: RequestSample, at: float) -> None:
        """One half of a pair; a request that failed takes its partner with it (errors are judged apart)."""
        if sample.pair_id is None or self.evidence_of_pairs is None:
            return
        other = self._open.pop(sample.pair_id, None)
        if other is None or other[0] == str(sample.arm):
            self._open = {k: v for k, v in self._open.items() if v[2] > at - PARTNER_SECONDS}
            self._open[sample.pair_id] = (str(sample.arm), _value(sample), at)
            return
        both = {str(sample.arm): _value(sample), other[0]: other[1]}
        canary, baseline = both[str(Arm.CANARY)], both[str(Arm.BASELINE)]
        if canary is None or baseline is None or self.left_out_because(at):
            self._left_out += 1
        else:
            self.evidence_of_pairs.add(max(at, other[2]), canary, baseline)

    def left_out_because(self, now: float) -> str | None:
        """Why a pair that is known now would not count; None when it would."""
        warm_at = [at + self._warm_up_seconds for arm in self._ready.values() for at in arm.values()]
        if warm_at and max(warm_at) > now:
            return f"a replica is cold for another {max(warm_at) - now:.0f} s"
        weight = self._weight_percent
        if weight is not None and self._share(Arm.CANARY, weight) > MORE_LOAD * self._share(
            Arm.BASELINE, 100 - weight
        ):
            return "a canary replica carries more traffic than a stable one; objectives judge its latency"
        return None

    def evidence(self, now: float) -> float:
        return self.evidence_of_pairs.evidence(now) if self.evidence_of_pairs else 1.0

    @property
    def left_out(self) -> int:
        """Pairs that were not compared."""
        return self._left_out

    def proof(self) -> Check:
        """NonInferior: TTFT is proven less than x1.25 (upper end of the 95 % interval)."""
        known = self.evidence_of_pairs
        interval = known.effect_interval if known else None
        if known is None or interval is None:
            reason = "no warm pair of probes at comparable load"
            return Check(
                "ttft-non-inferior", Verdict.INCONCLUSIVE, reason, "ttft", limit=PROOF_RATIO, samples=0
            )
        proven = interval[1] < PROOF_RATIO
        return Check(
            "ttft-non-inferior",
            Verdict.PASS if proven else Verdict.INCONCLUSIVE,
            f"TTFT x{interval[0]:.2f}-{interval[1]:.2f} (95 %), below x{PROOF_RATIO} wanted: "
            f"{'proven' if proven else 'more pairs are needed'}",
            "ttft",
            value=interval[1],
            limit=PROOF_RATIO,
            unit="ratio",
            samples=known.pairs,
        )

    def _share(self, arm: Arm, weight_percent: int) -> float:
        return weight_percent / (len(self._ready[str(arm)]) or 1)

    def state(self) -> dict[str, Any]:
        return {
            "open": self._open,
            "ready": self._ready,
            "weight_percent": self._weight_percent,
            "left_out": self._left_out,
            "evidence": self.evidence_of_pairs.state() if self.evidence_of_pairs else None,
        }

    @classmethod
    def from_state(cls, warm_up_seconds: float, state: Mapping[str, Any]) -> Self:
        self = cls(warm_up_seconds)
        self._open = {key: (arm, value, at) for key, (arm, value, at) in state["open"].items()}
        self._ready = {arm: dict(ready) for arm, ready in state["ready"].items()}
        self._weight_percent = state["weight_percent"]
        self._left_out = state["left_out"]
        if state["evidence"] is not None:
            self.evidence_of_pairs = TtftEvidence.from_state(state["evidence"])
        return self


def _value(sample: RequestSample) -> float | None:
    """TTFT, at most 60 s; a hang counts as that, an error as nothing."""
    if sample.ttft_seconds is not None:
        return min(sample.ttft_seconds, FIRST_TOKEN_SECONDS) if sample.ttft_seconds > 0 else None
    return FIRST_TOKEN_SECONDS if sample.outcome in (Outcome.TIMEOUT, Outcome.STALLED) else None
