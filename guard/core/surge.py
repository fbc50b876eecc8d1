"""Is the baseline itself failing more than it used to? Then the trouble is shared.

Owns DECISION's surge: over any of five windows up to now, a lower estimate of the baseline's error ratio
above twice an upper one of its long-run ratio. Errors are counted raw here, for an outage is one episode a
replica and many errors.
"""

from collections.abc import Sequence

import numpy as np

WINDOWS = np.array([1, 2, 3, 12, 48])  # w; each is w + 1 bins long
_LEAST = np.where(WINDOWS <= 2, 2, 3)
_KEPT = int(WINDOWS.max()) + 1


class Surge:
    """Baseline's bins, newest last."""

    def __init__(self, arrivals: Sequence[int] = (), errors: Sequence[int] = ()) -> None:
        self._arrivals = _last(arrivals)
        self._errors = _last(errors)

    def add(self, arrivals: int, errors: int) -> None:
        """The next bin."""
        self._arrivals[:-1], self._errors[:-1] = self._arrivals[1:].copy(), self._errors[1:].copy()
        self._arrivals[-1], self._errors[-1] = arrivals, errors

    def silent(self, bins: int) -> bool:
        """No request of the baseline in so many last bins."""
        return not self._arrivals[-bins:].any()

    def now(self, usual_ratio: float) -> bool:
        """Is there one that ends with the last bin?

        Args:
            usual_ratio: An upper estimate of the baseline's long-run ratio of errors.
        """
        if not self._errors.any():
            return False
        y = np.cumsum(self._errors[::-1])[WINDOWS]
        n = np.cumsum(self._arrivals[::-1])[WINDOWS]
        above = (y - 0.7 * np.sqrt(y)) > 2 * usual_ratio * n
        return bool((above & (y >= _LEAST)).any())

    def state(self) -> dict[str, list[int]]:
        return {"arrivals": self._arrivals.tolist(), "errors": self._errors.tolist()}


def _last(values: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    kept = np.zeros(_KEPT, np.int64)
    tail = list(values)[-_KEPT:]
    kept[_KEPT - len(tail) :] = tail
    return kept
