"""How many replicas each ReplicaSet of a Deployment may have now: the arithmetic of a rolling update.

Pure: counts in, counts out. Follows kube-controller-manager's `deployment/rolling.go` and `recreate.go`, so
that a rollout here keeps the promises (never below desired - maxUnavailable available, never above desired +
maxSurge) that users tune on a real cluster.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """One ReplicaSet: what it is asked for, how many pods it still has, how many of them are available."""

    name: str
    wanted: int
    pods: int
    available: int


def plan_sizes(strategy: Mapping[str, Any], desired: int, new: Size, old: Sequence[Size]) -> dict[str, int]:
    """The `spec.replicas` that every ReplicaSet should have now, by name; ask again when something changed.

    Args:
        strategy: `spec.strategy` of the Deployment; empty means RollingUpdate with 25 % and 25 %.
        old: Oldest first.
    """
    if strategy.get("type") == "Recreate":
        return _recreate(desired, new, old)
    surge, unavailable = surge_and_unavailable(strategy.get("rollingUpdate") or {}, desired)
    return _roll(desired, surge, unavailable, new, old)


def surge_and_unavailable(rolling: Mapping[str, Any], desired: int) -> tuple[int, int]:
    """Absolute maxSurge (percentages rounded up) and maxUnavailable (rounded down), not both 0."""
    surge = _count(rolling.get("maxSurge", "25%"), desired, math.ceil)
    unavailable = _count(rolling.get("maxUnavailable", "25%"), desired, math.floor)
    return surge, unavailable if surge or unavailable else 1


def _count(value: int | str, of: int, rounded: Any) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounded(int(value[:-1]) * of / 100))
    return int(value)


def _recreate(desired: int, new: Size, old: Sequence[Size]) -> dict[str, int]:
    emptied = {size.name: 0 for size in old}
    gone = all(size.pods == 0 for size in old)
    return emptied | {new.name: desired if gone else min(new.wanted, desired)}


def _roll(desired: int, surge: int, unavailable: int, new: Size, old: Sequence[Size]) -> dict[str, int]:
    total = new.wanted + sum(size.wanted for size in old)
    room = max(0, desired + surge - total)
    grown = min(desired, new.wanted + room)
    least = desired - unavailable
    removable = grown + sum(size.wanted for size in old) - least - max(0, grown - new.available)
    sizes = {size.name: size.wanted for size in old}
    if removable > 0:
        removed = _take(sizes, {s.name: s.wanted - min(s.available, s.wanted) for s in old}, removable)
        spare = new.available + sum(min(s.available, s.wanted) for s in old) - least
        _take(sizes, dict(sizes), min(spare, removable - removed))
    return sizes | {new.name: grown}


def _take(sizes: dict[str, int], at_most: Mapping[str, int], budget: int) -> int:
    """Lower `sizes` in order, each by at most `at_most`, until the budget is used; returns what was taken."""
    taken = 0
    for name in sizes:
        cut = max(0, min(at_most[name], budget - taken))
        sizes[name] -= cut
        taken += cut
    return taken
