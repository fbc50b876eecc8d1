"""Latency as replicas' own histograms tell it: an e-value a signal, beside that of requests seen one by one.

Owns what a block lets the engine see: values of its spread (`histogram_values`) at its end, and as load how
many requests began on that replica in 10 s, for requests in flight are not in it. Gaps of one request go
together, so a block of ITL says as much as the requests that began in it, and one value where that is not
known. Owns what cannot be used: blocks of cold replicas, of other edges, of another source.

Refuses raw samples, and to decide. Harm in the tail alone is not found; nor is a request that never answered.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np

from guard.core.histogram_blocks import NO_NUMBER, OTHER_EDGES, HistogramBlock, quantile_edges
from guard.core.histogram_values import log_values
from guard.core.latency_evidence import LatencyEvidence
from guard.core.latency_ranks import LatencyRanks
from guard.core.observations import Floats, Latencies
from guard.core.samples import Arm, Source
from guard.core.small_fleet import Signal

SIGNALS: tuple[Signal, ...] = ("ttft", "itl")
EARLY_BLOCKS = 20_000  # of history held back, the oldest go first: 20 replicas' hour of both signals fits
OTHER_SOURCE = "histograms of a second source"
COLD = "histograms of cold replicas"
BIN_SECONDS = 10.0
_ORDER_SECONDS = (
    1e-3  # values of a block become known at its end; so far before it, in an order of no meaning
)
_GOLDEN = (5**0.5 - 1) / 2


class HistogramEvidence:
    """Feed blocks with `add`, from before the first step on; nothing is compared before `start_step`.

    Attributes:
        latency: By signal, once the first step has begun.
        dropped: Blocks that were left out, by reason.
        values: The canary's values behind each signal, since the first step.
    """

    def __init__(self, planned_seconds: float, large_fleet: bool = False) -> None:
        self._planned_seconds = planned_seconds
        self._large_fleet = large_fleet
        self._start: float | None = None
        self._early: deque[HistogramBlock] = deque(maxlen=EARLY_BLOCKS)
        self._source: Source | None = None
        self.latency: dict[str, LatencyEvidence | LatencyRanks] = {}
        self.dropped: Counter[str] = Counter()
        self.values: dict[str, int] = dict.fromkeys(SIGNALS, 0)
        self._edges: dict[str, tuple[float, ...]] = {}
        self._seen: dict[str, list[int]] = {}  # "signal/arm": values in each bucket since the first step

    def begin(self, start: float, large_fleet: bool) -> list[HistogramBlock]:
        """The first step begins.

        Returns:
            The history that was held back, to be added again.
        """
        self._start, self._large_fleet = start, large_fleet
        kind = LatencyRanks if large_fleet else LatencyEvidence
        self.latency = {signal: kind(signal, start, self._planned_seconds) for signal in SIGNALS}
        early = list(self._early)
        self._early.clear()
        return early

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        for evidence in self.latency.values():
            evidence.start_step(now, canary_replicas, baseline_replicas)

    def add(
        self,
        blocks: Iterable[HistogramBlock],
        code: Callable[[Arm, str], int],
        is_cold: Callable[[int, float, float], bool],
    ) -> None:
        """Blocks that became known, both signals of a replica together.

        Args:
            code: A replica's number.
            is_cold: Whether that replica was cold at any time between two moments.
        """
        blocks = list(blocks)
        if self._start is None:
            self._early += blocks
            return
        blocks = [block for block in blocks if self._is_usable(block)]
        requests = {_place(block): block.count for block in blocks if block.signal == "ttft"}
        for block in blocks:
            replica = code(block.arm, block.replica)
            if is_cold(replica, block.start, block.end):
                self.dropped[COLD] += 1
                continue
            self._take(block, replica, requests.get(_place(block)))

    def _is_usable(self, block: HistogramBlock) -> bool:
        if block.is_sound:
            self._source = self._source or block.source
            self._edges.setdefault(block.signal, block.edges)
        if not block.is_sound:
            self.dropped[NO_NUMBER] += 1
        elif block.source is not self._source:
            self.dropped[OTHER_SOURCE] += 1
        elif block.edges != self._edges[block.signal]:
            self.dropped[OTHER_EDGES] += 1
        else:
            return block.count > 0
        return False

    def _take(self, block: HistogramBlock, replica: int, requests: int | None) -> None:
        most = block.count if block.signal == "ttft" else requests or 1
        seconds = np.exp(log_values(block, most))
        n = len(seconds)
        mixed: Floats = (np.arange(1.0, n + 1) * _GOLDEN) % 1.0
        load = np.nan if requests is None else requests * BIN_SECONDS / block.seconds
        canary = block.arm is Arm.CANARY
        seen = Latencies(
            at=block.end - _ORDER_SECONDS * (1 - mixed),
            canary=np.full(n, canary),
            replica=np.full(n, replica, np.int32),
            seconds=seconds,
            in_flight=np.full(n, load),
        )
        self.latency[block.signal].add(seen)
        if block.end > (self._start or 0.0):
            self.values[block.signal] += n * canary
            counts = self._seen.setdefault(f"{block.signal}/{block.arm}", [0] * len(block.counts))
            counts[:] = [old + new for old, new in zip(counts, block.counts, strict=True)]

    def speaks(self, signal: str) -> bool:
        """Whether both arms' histograms were seen since the first step."""
        return all(f"{signal}/{arm}" in self._seen for arm in Arm)

    def tail(self, signal: str, q: float = 0.95) -> dict[Arm, tuple[float, float]]:
        """The edges between which each arm's quantile lies, since the first step; wants `speaks`."""
        edges = self._edges[signal]
        found = {arm: quantile_edges(edges, tuple(self._seen[f"{signal}/{arm}"]), q) for arm in Arm}
        return {arm: bucket for arm, bucket in found.items() if bucket}

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "start": self._start,
            "large_fleet": self._large_fleet,
            "early": [block.to_json() for block in self._early],
            "source": self._source,
            "latency": {signal: evidence.state() for signal, evidence in self.latency.items()},
            "dropped": dict(self.dropped),
            "values": dict(self.values),
            "edges": {signal: list(edges) for signal, edges in self._edges.items()},
            "seen": {what: list(counts) for what, counts in self._seen.items()},
        }

    @classmethod
    def from_state(cls, planned_seconds: float, state: Mapping[str, Any]) -> Self:
        self = cls(planned_seconds, state["large_fleet"])
        self._start = state["start"]
        self._early.extend(HistogramBlock.from_json(row) for row in state["early"])
        self._source = Source(state["source"]) if state["source"] else None
        kind = LatencyRanks if self._large_fleet else LatencyEvidence
        self.latency = {signal: kind.from_state(e) for signal, e in state["latency"].items()}
        self.dropped = Counter(state["dropped"])
        self.values = dict(state["values"])
        self._edges = {signal: tuple(edges) for signal, edges in state["edges"].items()}
        self._seen = {what: list(counts) for what, counts in state["seen"].items()}
        return self


def _place(block: HistogramBlock) -> tuple[Arm, str, float, float]:
    return block.arm, block.replica, block.start, block.seconds
