"""Each replica's latency in blocks of 15 and of 60 s: the scores that the rank bets compare.

Owns DESIGN 5.2's three scores of a replica and block, each against what the baseline did before the quarter
of a minute in which the value fell: the mean of clip((ln X - [canary] ln margin - mu) / sigma, +-3), and the
shares above the baseline's q95 and q99. Owns which block serves: 15 s, or 60 s while a canary replica sees
fewer than about 3 requests in 15 s. Refuses to compare.

Exchangeability needs like counts: a mean of 2 requests is more often the highest of twenty than a mean of
10 is. So where one arm's replicas see fewer requests than the other's (a canary at 5 % on a replica of its
own), the busier arm is thinned to the same rate, every so many requests of each replica, evenly in time, and
what the difference of load explains is taken off (`load_slope`). Where rates are alike it is not: a slower
canary has more requests in flight because it is slower, and would be excused by what it does.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from guard.core.latency_scale import LatencyScale
from guard.core.load_match import LoadMatch
from guard.core.load_slope import LoadSlope
from guard.core.observations import Bools, Codes, Floats, Latencies
from guard.core.open_values import OpenValues, Values
from guard.core.request_rates import RequestRates

QUARTER_SECONDS = 15.0
QUARTERS = 4  # of a long block
SCORES = 3
CLIP_SIGMA = 3.0
FEW, ENOUGH = 3.0, 4.0  # requests of a canary replica in 15 s: to long blocks below, back to short ones above
MOST_QUARTERS = 960  # four hours: a clock that leaps costs no more at once
HISTORY_QUARTERS = 240  # an hour; what is older counts as that old


@dataclass(frozen=True)
class Block:
    """One closed block. Rows are the replicas that were seen in it.

    Attributes:
        index: Of its kind, from 0 at the first step; negative in the history.
        quarters: 1 or 4.
        chosen: Whether this kind of block serves at that time.
        scores: Shape (3, replicas).
        log_means: Mean ln seconds, without the margin.
    """

    index: int
    quarters: int
    chosen: bool
    replicas: Codes
    canary: Bools
    scores: Floats
    log_means: Floats


class ReplicaBlocks:
    """Feed values of one signal with `add`; `close` gives the blocks that ended since the last call."""

    def __init__(self, start: float, margin: float) -> None:
        self._margin = margin
        self._open = OpenValues(start, QUARTER_SECONDS)
        self._scale, self._slope, self._match = LatencyScale(), LoadSlope(), LoadMatch()
        self._rates = RequestRates()
        self._next: int | None = None  # the oldest open quarter
        self._canary = np.zeros(0, np.bool_)  # by replica code
        self._sums = {quarters: _no_sums() for quarters in (1, QUARTERS)}
        self._chosen = QUARTERS

    def start_step(self, canary_replicas: int, baseline_replicas: int) -> None:
        """Replicas that should be seen from now on."""
        self._rates.replicas = [max(0, baseline_replicas), max(0, canary_replicas)]
        self._match.start_step()

    @property
    def loads(self) -> tuple[float, float] | None:
        """Mean requests in flight that this step's requests met: canary, baseline; None where too few say."""
        return self._match.means

    @property
    def load_differs(self) -> bool:
        """Loads are so far apart in this step that live traffic shows neither a slowdown nor its absence."""
        return self._match.differs(self._slope.known)

    def add(self, seen: Latencies) -> None:
        """Values that became known; what cannot be used is left out."""
        values = self._open.add(seen)
        if not len(values):
            return
        missing = int(values.replica.max()) + 1 - len(self._canary)
        self._canary = np.concatenate([self._canary, np.zeros(max(0, missing), np.bool_)])
        self._canary[values.replica] = values.canary
        if self._next is None:
            oldest = self._open.span_of(float(values.at.min())) // QUARTERS * QUARTERS
            self._next = min(0, max(-HISTORY_QUARTERS, oldest))

    def close(self, now: float) -> Iterator[Block]:
        """Blocks that ended by `now`, oldest first; a long one comes after its last quarter."""
        if not math.isfinite(now):
            return
        first = self._next or 0
        ended = min(self._open.span_of(now), first + MOST_QUARTERS)
        if ended <= first:
            return
        self._next = first
        for values in self._open.close(first, ended):
            yield from self._close_quarter(values)

    def _close_quarter(self, values: Values) -> Iterator[Block]:
        quarter = self._next or 0
        if quarter % QUARTERS == 0:
            self._choose()
        self._rates.count(values, self._canary)
        if len(values) and self._scale.known:
            self._score(values.rows(self._rates.alike(values)))
        if quarter >= 0 and len(values):
            loads = (values.in_flight[values.canary], values.in_flight[~values.canary])
            self._match.add(*loads, self._slope.usual)
        self._learn(values.rows(~values.canary))
        self._next = quarter + 1
        yield self._block(1)
        if self._next % QUARTERS == 0:
            yield self._block(QUARTERS)

    def _learn(self, baseline: Values) -> None:
        self._scale.add(baseline.log_seconds)
        self._scale.forget(QUARTER_SECONDS)
        self._slope.add(baseline.replica, baseline.log_seconds, baseline.in_flight)
        self._slope.forget()

    def _choose(self) -> None:
        """Short or long blocks for the next minute, by what was seen before it."""
        rate = min(self._rates.per_replica())
        enough = ENOUGH if self._chosen == QUARTERS else FEW
        self._chosen = 1 if rate >= enough else QUARTERS

    def _score(self, values: Values) -> None:
        (mu, sigma), (q95, q99) = self._scale.mu_sigma(), self._scale.log_quantiles((0.95, 0.99))
        logs = values.log_seconds
        if not self._rates.are_alike:
            logs = logs - self._slope.correction(values.in_flight)
        y = logs - math.log(self._margin) * values.canary
        z = np.clip((y - mu) / sigma, -CLIP_SIGMA, CLIP_SIGMA)
        columns = [None, z, y > q95, y > q99, logs]
        size = len(self._canary)
        new = np.stack([np.bincount(values.replica, c, minlength=size) for c in columns]).astype(float)
        self._sums = {quarters: _added(sums, new) for quarters, sums in self._sums.items()}

    def _block(self, quarters: int) -> Block:
        sums, self._sums[quarters] = self._sums[quarters], _no_sums()
        replicas = np.flatnonzero(sums[0]).astype(np.int32)
        means = sums[1:, replicas] / sums[0, replicas]
        index = (self._next or 0) // quarters - 1
        chosen = quarters == self._chosen
        canary = self._canary[replicas]
        return Block(index, quarters, chosen, replicas, canary, means[:SCORES], means[SCORES])

    def state(self) -> dict[str, Any]:
        return {
            "margin": self._margin,
            "open": self._open.state(),
            "scale": self._scale.state(),
            "slope": self._slope.state(),
            "match": self._match.state(),
            "rates": self._rates.state(),
            "next": self._next,
            "canary": self._canary.tolist(),
            "sums": {str(quarters): sums.tolist() for quarters, sums in self._sums.items()},
            "chosen": self._chosen,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(0.0, state["margin"])
        self._open = OpenValues.from_state(state["open"])
        self._scale = LatencyScale.from_state(state["scale"])
        self._slope = LoadSlope.from_state(state["slope"])
        self._match = LoadMatch.from_state(state["match"])
        self._rates = RequestRates.from_state(state["rates"])
        self._next, self._chosen = state["next"], state["chosen"]
        self._canary = np.array(state["canary"], np.bool_)
        self._sums = {
            int(quarters): np.array(sums, np.float64).reshape(SCORES + 2, -1)
            for quarters, sums in state["sums"].items()
        }
        return self


def _no_sums() -> Floats:
    """Rows: values, the three scores' sums, the sum of ln seconds; columns: replica codes."""
    return np.zeros((SCORES + 2, 0))


def _added(sums: Floats, new: Floats) -> Floats:
    total = new.copy()
    total[:, : sums.shape[1]] += sums
    return total
