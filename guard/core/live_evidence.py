"""All evidence of one rollout on live traffic: what sources delivered in, an e-value a signal out.

Owns which source speaks for which signal: TTFT and ITL come from one source that sees users' requests one by
one, from replicas' histograms, and TTFT from pairs of probes, in evidence of their own whose e-values are
averaged; which errors are judged together, `error_sources` knows. Owns what is left out: latencies of cold
replicas (DESIGN 5.8). Refuses to decide.

Before the first step nothing is compared: what comes earlier is the baseline's history, held back until the
step's start and fleet are known. Times are seconds on one clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem
from guard.core.error_evidence import ErrorEvidence, Observed
from guard.core.error_sources import ErrorSources
from guard.core.histogram_blocks import HistogramBlock
from guard.core.latency_voices import LatencyVoices
from guard.core.live_proofs import LiveProofs
from guard.core.observations import Latencies, Requests, requests_from_json, requests_to_json
from guard.core.probe_pairs import ProbePairs
from guard.core.quality_evidence import QualityEvidence
from guard.core.request_columns import Replicas, columns
from guard.core.request_facts import Facts, RequestFacts
from guard.core.sample_ratio import SampleRatio
from guard.core.samples import Arm, RequestSample, Source
from guard.core.small_fleet import Signal

SMALL_FLEET = {"ttft": 0.20, "itl": 0.15, "errors": 0.35, "quality": 0.30}
LARGE_FLEET = {"ttft": 0.25, "itl": 0.15, "errors": 0.30, "quality": 0.30}
LARGE_FLEET_REPLICAS = 8
EARLY_BATCHES = 4000  # of history held back, the oldest go first; arbitrary
# Of latency, own requests (probes, load) say what pairs of them say; a gateway's counters say nothing.
News = tuple[Source, Facts]
_LATENCIES: tuple[Signal, ...] = ("ttft", "itl")
_ONE_BY_ONE = frozenset({Source.USER, Source.ACCESS_LOG, Source.SIMULATED})


class LiveEvidence:
    """Feed it, call `advance`, read `e_values`; compares nothing before `start_step`."""

    def __init__(self, planned_seconds: float, warm_up_seconds: float, prove: bool = False) -> None:
        """`prove`: also gather what NonInferior wants proven."""
        self._prove = prove
        self.proofs: LiveProofs | None = None
        self._planned_seconds = planned_seconds
        self._warm_up_seconds = warm_up_seconds
        self._start: float | None = None
        self._early: deque[tuple[Source, Requests | list[CounterBlock]]] = deque(maxlen=EARLY_BATCHES)
        self._facts: dict[Source, RequestFacts] = {}
        self._ready: dict[int, float] = {}  # by replica code
        self._latency_source: Source | None = None
        self.traffic_source: Source | None = None
        self.sample_ratio = SampleRatio()
        self.replicas = Replicas()
        self.large_fleet = False
        self._errors = ErrorSources(planned_seconds)
        self.latency = LatencyVoices(planned_seconds)
        self.pairs = ProbePairs(warm_up_seconds)
        self.quality = QualityEvidence()
        self.quality_pairs = 0
        self.cold = 0

    @property
    def errors(self) -> Mapping[Source, ErrorEvidence]:
        """Each source's own."""
        return self._errors.apart

    @property
    def start(self) -> float | None:
        """When the first step began."""
        return self._start

    @property
    def weights(self) -> Mapping[str, float]:
        """What each signal's e-value counts in the sum (DECISION, combination)."""
        return LARGE_FLEET if self.large_fleet else SMALL_FLEET

    def start_step(self, now: float, weight_percent: int, canary: int, baseline: int) -> list[News]:
        """A step begins with so many replicas an arm; the first one's fleet decides how latency is judged.

        Returns:
            What the history held back has to tell.
        """
        found: list[News] = []
        if self._start is None:
            self.large_fleet = baseline >= LARGE_FLEET_REPLICAS
            found = self._begin(now)
        self.pairs.start_step(weight_percent)
        self.sample_ratio.start_step(now, weight_percent)
        self._errors.start_step()
        self.latency.start_step(now, canary, baseline)
        if self.proofs is not None:
            self.proofs.start_step(now, canary, baseline)
        return found

    def _begin(self, start: float) -> list[News]:
        self._start = start
        self.latency.begin(start, self.large_fleet)
        self.proofs = LiveProofs(start, self.large_fleet) if self._prove else None
        self.add_histograms(self.latency.histograms.begin(start, self.large_fleet))
        early = list(self._early)
        self._early.clear()
        found = []
        for source, what in early:
            if isinstance(what, Requests):
                found += self.add_requests(source, what)
            else:
                self.add_blocks(what)
        return found

    def add_samples(self, samples: Iterable[RequestSample]) -> list[News]:
        """Requests as objects; one that still waits may be given again when more is known."""
        by_source: dict[Source, list[RequestSample]] = {}
        for sample in samples:
            by_source.setdefault(sample.source, []).append(sample)
            self.pairs.add(sample)
        found = []
        for source, mine in by_source.items():
            last = {sample.request_id: sample for sample in mine}
            found += self.add_requests(source, columns(list(last.values()), self.replicas))
        return found

    def add_requests(self, source: Source, rows: Requests) -> list[News]:
        """Requests in columns, replicas by the codes of `replicas`; returns what they tell.

        Nothing before the first step.
        """
        if self._start is None:
            self._early.append((source, rows))
            return []
        if source not in self._facts:
            self._facts[source] = RequestFacts(self._start)
        new = self._facts[source].add(rows)
        self._take(source, new)
        return [(source, new)]

    def add_blocks(self, blocks: Iterable[CounterBlock]) -> None:
        """Counters; one block's requests are of one arm, and of one replica where that is known."""
        blocks = [block for block in blocks if block.requests > 0]
        if self._start is None:
            self._early += [(block.source, [block]) for block in blocks]
            return
        for block in blocks:
            seen = Observed(block.end, block.arm, block.replica, block.requests, block.bad)
            self._errors.observe(block.source, self._start, seen)
        counted = [block for block in blocks if self._is_traffic(block.source)]
        if counted:
            requests = np.array([block.requests for block in counted], np.int64)
            canary = np.array([block.arm is Arm.CANARY for block in counted])
            at = np.array([block.end for block in counted], np.float64)
            self.sample_ratio.add_counts(at, requests * canary, requests)
            if self.proofs is not None:
                replica = np.array([self.replicas.code(b.arm, b.replica) for b in counted], np.int32)
                bad = np.array([block.bad for block in counted], np.float64)
                self.proofs.add_results(at, canary, replica, requests.astype(np.float64), bad)

    def add_histograms(self, blocks: Iterable[HistogramBlock]) -> None:
        """Blocks of replicas' latency histograms; those of cold replicas are left out."""
        self.latency.histograms.add(blocks, self.replicas.code, self._was_cold)

    def _was_cold(self, code: int, begin: float, end: float) -> bool:
        ready = self._ready.get(code)
        return ready is not None and ready < end and begin < ready + self._warm_up_seconds

    def add_event(self, event: PodEvent) -> None:
        self.pairs.add_event(event)
        code = self.replicas.code(event.arm, event.replica)
        if event.kind == "ready":
            self._ready[code] = event.at
        elif event.kind == "gone":
            self._ready.pop(code, None)

    def add_pairs(self, items: Iterable[PairedItem]) -> None:
        """Eval items that both arms answered, in that order."""
        for item in items:
            self.quality.add(item)
            self.quality_pairs += 1
            if self.proofs is not None:
                self.proofs.add_items([item])

    def advance(self, now: float) -> list[News]:
        """Takes in who has waited too long by `now`."""
        found = []
        for source, facts in self._facts.items():
            new = facts.expire(now)
            self._take(source, new)
            found.append((source, new))
        self._take_pairs(now)
        return found

    def waiting(self) -> list[tuple[Source, Requests]]:
        """Requests of each source that have not ended."""
        return [(source, facts.waiting()) for source, facts in self._facts.items()]

    def answering(self) -> dict[Source, int]:
        """The canary's requests of each source that have a first token and no end."""
        return {source: facts.answering() for source, facts in self._facts.items()}

    @property
    def dropped(self) -> Mapping[str, int]:
        """Input that cannot be, by reason."""
        found: dict[str, int] = dict(self.latency.histograms.dropped)
        for facts in self._facts.values():
            for reason, n in facts.dropped.items():
                found[reason] = found.get(reason, 0) + n
        return {reason: n for reason, n in found.items() if n}

    def _take(self, source: Source, new: Facts) -> None:
        traffic = self._is_traffic(source)
        self._errors.add(source, self._start or 0.0, new.arrivals, new.failures, self.traffic_source)
        if traffic:
            self.sample_ratio.add(new.arrivals)
            if self.proofs is not None:
                for marks, bad in ((new.good, 0.0), (new.failures, 1.0)):
                    one = np.ones(len(marks.at))
                    self.proofs.add_results(marks.at, marks.canary, marks.replica, one, bad * one)
        if source not in _ONE_BY_ONE or not (len(new.ttft.at) or len(new.itl.at)):
            return
        self._latency_source = self._latency_source or source
        if source is self._latency_source:
            for signal, all_seen in zip(_LATENCIES, (new.ttft, new.itl), strict=True):
                seen = self._warm(all_seen)
                self.latency.add(signal, seen)
                if self.proofs is not None:
                    self.proofs.add_latencies(signal, seen)

    def _take_pairs(self, now: float) -> None:
        known = self.pairs.known(now)
        if known and self._start is not None:
            at, log_ratio = np.array(known).T
            self.latency.add_pairs(at, log_ratio)
            if self.proofs is not None:
                self.proofs.add_pairs(at, log_ratio)

    def _warm(self, seen: Latencies) -> Latencies:
        """Without those of replicas that became ready less than the warm-up before."""
        cold = np.zeros(len(seen.at), bool)
        for code, ready in self._ready.items():
            mine = seen.replica == code
            cold |= mine & (seen.at >= ready) & (seen.at < ready + self._warm_up_seconds)
        if not cold.any():
            return seen
        self.cold += int(cold.sum())
        return seen.rows(~cold)

    def _is_traffic(self, source: Source) -> bool:
        """Users' requests follow the weights, probes and loads do not; one source of them is enough."""
        if source in _ONE_BY_ONE:
            self.traffic_source = self.traffic_source or source
        return source is self.traffic_source

    def e_values(self, now: float) -> dict[str, float]:
        """An e-value a signal; 1 where nothing could be said."""
        return {
            **{signal: self.latency.evidence(signal, now) for signal in _LATENCIES},
            "errors": self._errors.e_value(now),
            "quality": self.quality.evidence(),
        }

    def errors_ahead(self, now: float) -> float:
        """The loudest source's evidence with its last seconds, which are not judged yet."""
        return self._errors.ahead(now)

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "start": self._start,
            "large_fleet": self.large_fleet,
            "early": [_early_to_json(source, what) for source, what in self._early],
            "facts": {str(source): facts.state() for source, facts in self._facts.items()},
            "ready": [[code, at] for code, at in self._ready.items()],
            "latency_source": self._latency_source,
            "traffic_source": self.traffic_source,
            "sample_ratio": self.sample_ratio.state(),
            "replicas": self.replicas.names,
            "errors": self._errors.state(),
            "latency": self.latency.state(),
            "pairs": self.pairs.state(),
            "quality": {"wealth": self.quality.wealth, "pairs": self.quality_pairs},
            "proofs": self.proofs.state() if self.proofs else None,
            "cold": self.cold,
        }

    @classmethod
    def from_state(
        cls, planned_seconds: float, warm_up_seconds: float, state: Mapping[str, Any], prove: bool = False
    ) -> Self:
        self = cls(planned_seconds, warm_up_seconds, prove)
        self.proofs = LiveProofs.from_state(state["proofs"]) if state["proofs"] else None
        self._start, self.large_fleet, self.cold = state["start"], state["large_fleet"], state["cold"]
        self._early.extend(_early_from_json(*row) for row in state["early"])
        self._facts = {Source(s): RequestFacts.from_state(f) for s, f in state["facts"].items()}
        self._ready = dict(state["ready"])
        self._latency_source = Source(state["latency_source"]) if state["latency_source"] else None
        self.traffic_source = Source(state["traffic_source"]) if state["traffic_source"] else None
        self.sample_ratio = SampleRatio.from_state(state["sample_ratio"])
        self.replicas = Replicas(state["replicas"])
        self._errors = ErrorSources.from_state(planned_seconds, state["errors"])
        self.latency = LatencyVoices.from_state(planned_seconds, self.large_fleet, state["latency"])
        self.pairs = ProbePairs.from_state(warm_up_seconds, state["pairs"])
        self.quality = QualityEvidence(state["quality"]["wealth"])
        self.quality_pairs = state["quality"]["pairs"]
        return self


def _early_to_json(source: Source, what: Requests | list[CounterBlock]) -> list[Any]:
    if isinstance(what, Requests):
        return [str(source), requests_to_json(what), None]
    return [str(source), None, [block.to_json() for block in what]]


def _early_from_json(
    source: str, rows: Mapping[str, Any] | None, blocks: list[Mapping[str, Any]] | None
) -> tuple[Source, Requests | list[CounterBlock]]:
    if rows is not None:
        return Source(source), requests_from_json(rows)
    return Source(source), [CounterBlock.from_json(block) for block in blocks or ()]
