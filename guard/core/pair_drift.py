"""Do bins of paired probes differ over half a minute by more than the filter takes for usual?

Owns by how much V is widened where they do: queueing and restless replicas that the baseline's own requests,
each another prompt, are too noisy to show. Compares a bin's mean log-ratio with that of 30 s earlier, because
harm that begins enters three such differences and then none; innovations would carry it for minutes, and what
harm does must not be called noise. Never narrows.
"""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.latency_filter import PHI

LAG_BINS = 3
PRIOR_DIFFERENCES = 4.0  # arbitrary
# Before the pairs have told: with 1, a queueing of 30 % rolled 4 of 200 equal arms back, with 3 none.
PRIOR_OF_UNKNOWN = 3.0
MOST_SQUARE = 9.0  # of a difference over its variance: one outlier is no lasting noise


class PairDrift:
    """For each bin: `add` where it has pairs, then `end_bin`; `excess` is of what was added."""

    def __init__(self) -> None:
        self._bins: list[tuple[float, float] | None] = [None] * LAG_BINS
        self._open: tuple[float, float] | None = None
        self._squares, self._differences = 0.0, 0.0

    def excess(self, unknown: bool = False) -> float:
        """Variance that was seen, as a ratio of the expected one; at least 1.

        Args:
            unknown: Whether nothing but these pairs is known of the service.
        """
        seen = self._squares + PRIOR_DIFFERENCES * (PRIOR_OF_UNKNOWN if unknown else 1.0)
        return max(1.0, seen / (self._differences + PRIOR_DIFFERENCES))

    def add(self, d: float, noise: float, wander: float) -> None:
        """A bin's mean log-ratio.

        Args:
            noise: Variance of the mean by the pairs' own spread; above 0.
            wander: Of d's slow noise, kappa sigma_u^2.
        """
        before, self._open = self._bins[0], (d, noise)
        if before is not None:
            expected = noise + before[1] + 2 * wander * (1 - PHI**LAG_BINS)
            self._squares += min(MOST_SQUARE, (d - before[0]) ** 2 / expected)
            self._differences += 1

    def end_bin(self) -> None:
        self._bins = [*self._bins[1:], self._open]
        self._open = None

    def state(self) -> dict[str, Any]:
        """Between bins."""
        return {
            "bins": [list(bin_) if bin_ else None for bin_ in self._bins],
            "squares": self._squares,
            "differences": self._differences,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._bins = [(bin_[0], bin_[1]) if bin_ else None for bin_ in state["bins"]]
        self._squares, self._differences = state["squares"], state["differences"]
        return self
