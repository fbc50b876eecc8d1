"""What the latency evidence stands on: requests, replicas, pairs and bins since the start. Counts only."""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.observations import Codes


class LatencySeen:
    """Attributes:
    canary_requests, baseline_requests: In bins that have ended.
    pairs: The same of paired probes.
    bins: In which traffic of both arms was compared.
    """

    def __init__(self) -> None:
        self.canary_requests, self.baseline_requests = 0, 0
        self.pairs, self.bins = 0, 0
        self._replicas: tuple[set[int], set[int]] = set(), set()  # codes: canary, baseline

    def add(self, canary: Codes, baseline: Codes) -> None:
        """One bin's requests: the replica of each."""
        self.canary_requests += canary.size
        self.baseline_requests += baseline.size
        self._replicas[0].update(canary.tolist())
        self._replicas[1].update(baseline.tolist())

    @property
    def canary_replicas(self) -> int:
        """Distinct ones."""
        return len(self._replicas[0])

    @property
    def baseline_replicas(self) -> int:
        return len(self._replicas[1])

    def state(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in _COUNTS}
        return counts | {"replicas": [sorted(codes) for codes in self._replicas]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        for name in _COUNTS:
            setattr(self, name, state[name])
        self._replicas = set(state["replicas"][0]), set(state["replicas"][1])
        return self


_COUNTS = ("canary_requests", "baseline_requests", "pairs", "bins")
