"""How much more than independent requests do the baseline's replicas fail together?

Owns D of DECISION's "Errors": the divisor of every log bet. D = max(1, (Q + 20) / (V + 20)) over blocks of
60 s and replica, Q = sum (y - p n)^2, V = sum p n; y episodes of n armed arrivals, p their long-run ratio.
Four sums are kept, because p moves.
"""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.observations import Floats

BLOCK_BINS = 6
PRIOR = 20.0


class Dispersion:
    """Sums over closed blocks."""

    def __init__(self) -> None:
        self._yy = self._yn = self._nn = self._n = 0.0

    def add(self, arrivals: Floats, episodes: Floats) -> None:
        """One block, a value for each replica; one that was not asked adds nothing."""
        self._yy += float(episodes @ episodes)
        self._yn += float(episodes @ arrivals)
        self._nn += float(arrivals @ arrivals)
        self._n += float(arrivals.sum())

    def divisor(self, episodes: int, arrivals: float) -> float:
        """D >= 1, for the baseline's episodes and armed arrivals so far."""
        p = (episodes + 0.5) / (arrivals + 100)
        squares = self._yy - 2 * p * self._yn + p * p * self._nn
        return max(1.0, (squares + PRIOR) / (p * self._n + PRIOR))

    def state(self) -> dict[str, float]:
        return {name.lstrip("_"): value for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        for name, value in state.items():
            setattr(self, f"_{name}", value)
        return self
