"""Proof that a canary is not slower by the margin, in a fleet of 8 or more baseline replicas.

Owns DESIGN 5.7's rank bets: with the canary's values divided by 1.25, bets with theta -1 and -2.5 that its
replicas rank low, on the body (mean score) and, for TTFT, on the tail (share above q95). Where the canary is
slower by just 1.25 the replicas are exchangeable and the mean bet is 1; where it is slower still, less. The
sum of ln e since the step began is divided by D of as many blocks, as in `latency_ranks`.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.latency_ranks import Signal
from guard.core.observations import Latencies
from guard.core.rank_bet import log_bets, normal_scores
from guard.core.replica_blocks import QUARTERS, Block, ReplicaBlocks
from guard.core.tempering import Tempering

PROOF_MARGIN = 1.25
THETAS = (-1.0, -2.5)
SCORES_PROVEN = {"ttft": ("body", "q95"), "itl": ("body",)}
_MOST = 700.0


class RankProof:
    """Feed `add`, ask `evidence` as often as you like."""

    def __init__(self, signal: Signal, start: float) -> None:
        self._signal = signal
        self._blocks = ReplicaBlocks(start, PROOF_MARGIN)
        self._rows = len(SCORES_PROVEN[signal])
        self._tempering = {quarters: Tempering(self._rows) for quarters in (1, QUARTERS)}
        self._logs = np.zeros((self._rows, len(THETAS)))
        self._length, self._quarters = 0, QUARTERS  # blocks since the step began, and their kind

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        """Starts again: what the canary did at another weight proves nothing of this one."""
        self.evidence(now)
        self._blocks.start_step(canary_replicas, baseline_replicas)
        self._logs[:] = 0.0
        self._length = 0

    def add(self, seen: Latencies) -> None:
        self._blocks.add(seen)

    def evidence(self, now: float) -> dict[str, float]:
        """An e-value for each of `SCORES_PROVEN`, against "slower by 1.25 or more"; 1 before any block."""
        for block in self._blocks.close(now):
            z = normal_scores(block.scores[: self._rows])
            if block.chosen and block.index >= 0:
                self._length, self._quarters = self._length + 1, block.quarters
                self._logs += log_bets(z, block.canary, THETAS)
            self._learn(block)
        return dict(zip(SCORES_PROVEN[self._signal], self._e_values(), strict=True))

    @property
    def loads(self) -> tuple[float, float] | None:
        """Mean requests in flight that this step's requests met: canary, baseline; None where too few say."""
        return self._blocks.loads

    @property
    def load_differs(self) -> bool:
        """Loads are so far apart in this step that live traffic shows neither a slowdown nor its absence."""
        return self._blocks.load_differs

    def _learn(self, block: Block) -> None:
        theirs = ~block.canary
        if theirs.sum() >= 2:
            z = normal_scores(block.scores[: self._rows, theirs])
            self._tempering[block.quarters].add(block.replicas[theirs], z)

    def _e_values(self) -> list[float]:
        if not self._length:
            return [1.0] * self._rows
        divisors = self._tempering[self._quarters].divisors(np.array([float(self._length)]))
        bets = np.exp(np.minimum(_MOST, self._logs / divisors)).mean(axis=1)
        return [float(bet) for bet in bets]

    def state(self) -> dict[str, Any]:
        return {
            "signal": self._signal,
            "blocks": self._blocks.state(),
            "tempering": {str(q): tempering.state() for q, tempering in self._tempering.items()},
            "logs": self._logs.tolist(),
            "length": self._length,
            "quarters": self._quarters,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["signal"], 0.0)
        self._blocks = ReplicaBlocks.from_state(state["blocks"])
        self._tempering = {int(q): Tempering.from_state(t) for q, t in state["tempering"].items()}
        self._logs = np.array(state["logs"])
        self._length, self._quarters = state["length"], state["quarters"]
        return self
