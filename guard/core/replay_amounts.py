"""How much of a recorded rollout had been seen by each tick: what stands beside a decision's evidence.

Owns the counts, computed once. Requests count from the first step on; before it lies the baseline's history.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from guard.core.observations import Floats
from guard.core.rollout import Rollout
from guard.core.samples import Arm


class Amounts:
    """Of one rollout, at the given ticks."""

    def __init__(self, rollout: Rollout, ticks: Sequence[float]) -> None:
        start, self._ticks = rollout.steps[0].start_seconds, ticks
        logs = list(rollout.requests.values())
        known = np.concatenate([np.zeros(0), *(log.known for log in logs)])
        canary = np.concatenate([np.zeros(0, np.bool_), *(log.canary for log in logs)])
        replica = np.concatenate([np.zeros(0, np.int32), *(log.replica for log in logs)])
        since = known >= start
        arms = {Arm.CANARY: since & canary, Arm.BASELINE: since & ~canary}
        self._requests = {arm: self._by_tick(known[mine]) for arm, mine in arms.items()}
        for arm in Arm:
            mine = [block for block in rollout.blocks if block.arm is arm and block.end >= start]
            counts = np.cumsum([0, *(block.requests for block in mine)])
            self._requests[arm] = self._requests[arm] + counts[self._by_tick([b.end for b in mine])]
        first = {int(code): float(known[replica == code].min()) for code in np.unique(replica)}
        pods = {rollout.replicas[code]: at for code, at in first.items()}
        counted = [(block.end, str(block.arm), block.replica) for block in rollout.blocks]
        counted += [(block.end, str(block.arm), block.replica) for block in rollout.histograms]
        for at, whose, name in sorted(counted):
            pods.setdefault((whose, name), at)
        self._replicas = {
            str(arm): self._by_tick(sorted(at for (whose, _), at in pods.items() if whose == arm))
            for arm in Arm
        }
        self._others = {
            "blocks": self._by_tick([block.end for block in rollout.blocks]),
            "histogram_blocks": self._by_tick([block.end for block in rollout.histograms]),
            "events": self._by_tick([event.at for event in rollout.events]),
            "eval_items": self._by_tick(rollout.evals.answered_at),
        }

    def _by_tick(self, at: Floats | list[float]) -> Any:
        return np.searchsorted(np.sort(np.asarray(at, np.float64)), np.asarray(self._ticks), side="right")

    def requests(self, arm: Arm, index: int) -> int:
        return int(self._requests[arm][index])

    def amounts(self, index: int) -> dict[str, Any]:
        """Replicas an arm, and blocks, events and eval items."""
        replicas = {arm: int(counts[index]) for arm, counts in self._replicas.items()}
        return {"replicas": replicas, **{what: int(n[index]) for what, n in self._others.items()}}
