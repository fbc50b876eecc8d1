"""Episodes of errors from counters, which tell how many requests ended and not in which order.

A counter's block is short: one with e errors of n requests is one episode after (n + 1) / (e + 1) requests,
the expected place of its first error, and a block that ends while its replica is dead is ignored whole. One
replica counted together with others (a gateway's Service) is dead together with them, which costs evidence
on both arms alike.

Counters of a gateway know a request when it *ended*, so at a step's start fast errors lead slow successes;
the episode bounds what that can do to one or two of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from guard.core.episodes import DEAD_SECONDS, SEEN_SECONDS, ArmBin, BothArms
from guard.core.observations import Floats
from guard.core.samples import Arm


@dataclass(frozen=True)
class Observed:
    """Requests of one replica that became known together, at `at`."""

    at: float
    arm: Arm
    replica: str
    requests: int
    bad: int


class CounterEpisodes:
    """Feed `count` with bin after bin."""

    def __init__(self) -> None:
        self._dead_until: dict[str, float] = {}  # by arm/replica, as all below
        self._last_seen: dict[str, float] = {}
        self._block: dict[str, list[float]] = {}  # armed arrivals, episodes since the last `take_block`

    def count(self, seen: Sequence[Observed], end: float) -> BothArms:
        """One bin that ends at `end`."""
        if not self._last_seen and not seen:
            return BothArms(ArmBin(), ArmBin())
        rows = {Arm.BASELINE: ArmBin(), Arm.CANARY: ArmBin()}
        for one in sorted(seen, key=lambda one: (one.at, one.arm, one.replica, one.requests, one.bad)):
            rows[one.arm] += self._one(one)
        present = [key for key, at in self._last_seen.items() if at > end - SEEN_SECONDS]
        for arm in rows:
            rows[arm] += ArmBin(replicas=sum(key.startswith(f"{arm}/") for key in present))
        return BothArms(rows[Arm.BASELINE], rows[Arm.CANARY])

    def _one(self, seen: Observed) -> ArmBin:
        key, bad = f"{seen.arm}/{seen.replica}", max(0, min(seen.bad, seen.requests))
        self._last_seen[key] = seen.at
        if seen.at < self._dead_until.get(key, -math.inf):
            return ArmBin(raw_arrivals=seen.requests, raw_errors=bad)
        armed = (seen.requests + 1) / (bad + 1) if bad else float(seen.requests)
        if bad:
            self._dead_until[key] = seen.at + DEAD_SECONDS
        if seen.arm is Arm.BASELINE:
            block = self._block.setdefault(key, [0.0, 0.0])
            block[0] += armed
            block[1] += bool(bad)
        return ArmBin(armed, int(bad > 0), seen.requests, bad, DEAD_SECONDS if bad else 0.0)

    def take_block(self) -> tuple[Floats, Floats]:
        """Armed arrivals and episodes of each baseline replica since the last call."""
        arrivals, episodes = np.array([*self._block.values()], np.float64).reshape(-1, 2).T
        self._block = {}
        return arrivals, episodes

    def state(self) -> dict[str, Any]:
        return {"dead_until": self._dead_until, "last_seen": self._last_seen, "block": self._block}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._dead_until, self._last_seen = dict(state["dead_until"]), dict(state["last_seen"])
        self._block = {key: list(value) for key, value in state["block"].items()}
        return self
