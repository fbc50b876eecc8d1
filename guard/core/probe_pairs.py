"""Which paired probes may say anything about TTFT, and what each of them says.

Owns joining the two halves of a pair, and leaving out what would compare the wrong thing: cold replicas
(DESIGN 5.8) and steps in which a canary replica carries clearly more users' traffic than a stable one
(5.12): there its probes queue longer because of the load, not because of the change. A canary that carries
less is compared, and may hide a slowdown that load would show; the check says so.

A half is known at its first token, or when it has waited for the cap: 6 times the p99 of the baseline's own
probes so far, 60 s at most (DESIGN 5.1). Nothing above the cap is told apart, on either arm.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from guard.core.blocks import PodEvent
from guard.core.hard_limits import FIRST_TOKEN_SECONDS
from guard.core.latency import quantile
from guard.core.samples import Arm, Outcome, RequestSample

MORE_LOAD = 1.25  # arbitrary: below it, queueing hardly differs
PARTNER_SECONDS = 120.0
CAP_RATIO = 6.0
CAP_VALUES, CAP_VALUES_KEPT = 8, 500  # of the baseline: before it says anything, and at most; arbitrary


@dataclass(frozen=True)
class _Half:
    """One arm's request: known at `at` (None: it waits), with its TTFT (None: it failed)."""

    start: float
    at: float | None
    seconds: float | None


class ProbePairs:
    """TTFT evidence of one rollout's probes."""

    def __init__(self, warm_up_seconds: float) -> None:
        self._warm_up_seconds = warm_up_seconds
        self._open: dict[str, dict[str, _Half]] = {}  # pair -> arm -> half
        self._joined: dict[str, float] = {}  # pair -> when; its requests may still be told of
        self._baseline: list[float] = []  # the last TTFTs, for the cap
        self._ready: dict[str, dict[str, float]] = {str(arm): {} for arm in Arm}
        self._weight_percent: int | None = None
        self._left_out = 0
        self._known: list[tuple[float, float]] = []

    def start_step(self, weight_percent: int) -> None:
        self._weight_percent = weight_percent

    def add_event(self, event: PodEvent) -> None:
        """`ready` starts a replica's warm-up; a replica that is `gone` no longer carries load."""
        if event.kind == "ready":
            self._ready[str(event.arm)][event.replica] = event.at
        elif event.kind == "gone":
            self._ready[str(event.arm)].pop(event.replica, None)

    def add(self, sample: RequestSample) -> None:
        """One half of a pair as it stands: it waits, has its first token, or has ended.

        A request that failed takes its partner with it (errors are judged apart). Nothing is compared before
        the first step.
        """
        pair, start = sample.pair_id, sample.started_at
        if pair is None or start is None or pair in self._joined or self._weight_percent is None:
            return
        at = _told_at(sample, start)
        if not (math.isfinite(start) and math.isfinite(at)):
            return  # counted where requests are (`request_facts`)
        if pair not in self._open:
            self._forget(at - PARTNER_SECONDS)
        self._open.setdefault(pair, {})[str(sample.arm)] = _half(sample, start, at)
        self._join(pair)

    def _forget(self, before: float) -> None:
        """Pairs of which nothing more will come."""
        self._joined = {pair: at for pair, at in self._joined.items() if at > before}
        self._open = {
            pair: halves
            for pair, halves in self._open.items()
            if max(half.start for half in halves.values()) > before
        }

    def _join(self, pair: str) -> None:
        known = {arm: half for arm, half in self._open[pair].items() if half.at is not None}
        if len(known) < len(Arm):
            return
        del self._open[pair]
        at = max(half.at or 0.0 for half in known.values())
        self._joined[pair] = at
        canary, baseline = known[str(Arm.CANARY)].seconds, known[str(Arm.BASELINE)].seconds
        cap = self.cap_seconds
        if baseline is not None:
            self._baseline = [*self._baseline, baseline][-CAP_VALUES_KEPT:]
        if not canary or not baseline or self.left_out_because(at):
            self._left_out += 1
        else:
            self._known.append((at, math.log(min(canary, cap) / min(baseline, cap))))

    @property
    def cap_seconds(self) -> float:
        """What a request's TTFT counts as at most."""
        p99 = quantile(self._baseline, 0.99) if len(self._baseline) >= CAP_VALUES else None
        return FIRST_TOKEN_SECONDS if p99 is None else min(FIRST_TOKEN_SECONDS, CAP_RATIO * p99)

    def _cap_waiting(self, now: float) -> None:
        cap = self.cap_seconds
        for pair, halves in list(self._open.items()):
            for arm, half in halves.items():
                if half.at is None and half.start + cap <= now:
                    halves[arm] = _Half(half.start, half.start + cap, cap)
            self._join(pair)

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

    def known(self, now: float) -> list[tuple[float, float]]:
        """Pairs that became known since the last call: when, and ln(canary TTFT / baseline TTFT)."""
        self._cap_waiting(now)
        known, self._known = self._known, []
        return known

    @property
    def left_out(self) -> int:
        """Pairs that were not compared."""
        return self._left_out

    def _share(self, arm: Arm, weight_percent: int) -> float:
        return weight_percent / (len(self._ready[str(arm)]) or 1)

    def state(self) -> dict[str, Any]:
        return {
            "open": {
                pair: {arm: vars(h) for arm, h in halves.items()} for pair, halves in self._open.items()
            },
            "joined": self._joined,
            "baseline": self._baseline,
            "ready": self._ready,
            "weight_percent": self._weight_percent,
            "left_out": self._left_out,
            "known": self._known,
        }

    @classmethod
    def from_state(cls, warm_up_seconds: float, state: Mapping[str, Any]) -> Self:
        self = cls(warm_up_seconds)
        for pair, halves in state["open"].items():
            self._open[pair] = {arm: _Half(**half) for arm, half in halves.items()}
        self._joined = dict(state["joined"])
        self._baseline = list(state["baseline"])
        self._ready = {arm: dict(ready) for arm, ready in state["ready"].items()}
        self._weight_percent = state["weight_percent"]
        self._left_out = state["left_out"]
        self._known = [(at, log_ratio) for at, log_ratio in state["known"]]
        return self


def _told_at(sample: RequestSample, start: float) -> float:
    """The moment that a sample speaks of: its end, its first token, or its start."""
    return next((at for at in (sample.finished_at, sample.first_token_at) if at is not None), start)


def _half(sample: RequestSample, start: float, at: float) -> _Half:
    """A hang counts as 60 s (so as the cap), another error as nothing."""
    ttft = sample.ttft_seconds
    if ttft is not None and ttft > 0:
        return _Half(start, min(at, start + ttft), min(ttft, FIRST_TOKEN_SECONDS))
    if sample.outcome is None:
        return _Half(start, None, None)
    hung = ttft is None and sample.outcome in (Outcome.TIMEOUT, Outcome.STALLED)
    return _Half(start, at, FIRST_TOKEN_SECONDS if hung else None)
