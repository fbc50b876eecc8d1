"""Exact intervals of shares."""

from collections.abc import Callable

from guard.core.binomial import binomial_upper_tail


def clopper_pearson(hits: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Shares that so many hits do not refute, at (1 - level)/2 on either side; 0 and 1 where there are none.

    Source: Clopper and Pearson 1934.
    """
    if not total:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = _where(lambda p: binomial_upper_tail(hits, total, p) >= tail) if hits else 0.0
    high = _where(lambda p: binomial_upper_tail(hits + 1, total, p) >= 1 - tail) if hits < total else 1.0
    return low, high


def _where(holds: Callable[[float], bool]) -> float:
    """The share from which on a condition holds, which holds at 1 and not at 0."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
