"""Bad requests of the canary in a row, up to the last one that ended: how many, and over what time.

Owns what "in a row" means: bad ones after the last good one, in order of time, whatever order they are told
in. Keeps the last good moment and a count a second of the last 300 s, never requests.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from guard.core.observations import Floats
from guard.core.recent_results import MEMORY_SECONDS


class Run(NamedTuple):
    """`requests` bad ones, from the first to the last of them."""

    requests: int
    first: float
    last: float


class BadRun:
    """Feed moments at which requests ended."""

    def __init__(self) -> None:
        self._last_good = -1e300  # JSON knows no infinity
        self._seconds: dict[int, Run] = {}  # since then

    def add(self, good: Floats, bad: Floats) -> None:
        """Takes finite moments."""
        if len(good) and (last_good := float(good.max())) > self._last_good:
            self._last_good = last_good
            self._seconds = {key: run for key, run in self._seconds.items() if run.first > last_good}
        for at in bad[bad > self._last_good].tolist():
            key = math.floor(at)
            run = self._seconds.get(key, Run(0, at, at))
            self._seconds[key] = Run(run.requests + 1, min(run.first, at), max(run.last, at))

    def now(self, now: float) -> Run | None:
        """The run so far, of the last 300 s; None when the last request was good, or there was none."""
        recent = now - MEMORY_SECONDS
        self._seconds = {key: run for key, run in self._seconds.items() if run.last > recent}
        runs = self._seconds.values()
        if not runs:
            return None
        return Run(sum(r.requests for r in runs), min(r.first for r in runs), max(r.last for r in runs))

    def state(self) -> dict[str, Any]:
        return {"last_good": self._last_good, "seconds": [[*run] for run in self._seconds.values()]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._last_good = state["last_good"]
        self._seconds = {math.floor(run[1]): Run(*run) for run in state["seconds"]}
        return self
