"""Errors by every source of them: which are judged together, and one e-value of all.

Probes and users' requests seen one by one are pooled (DECISION, "Paired probes") as long as the baseline
fails alike in both. Where it does not they are judged apart, for the canary's requests are mostly probes and
the baseline's mostly users': probes that fail more on both arms would be held against a good canary. Other
sources are never mixed; e-values are averaged. Refuses to know what an error is.
"""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.error_evidence import ErrorEvidence, Observed
from guard.core.observations import Marks
from guard.core.samples import Source


class ErrorSources:
    """Of one rollout.

    Attributes:
        apart: The evidence of each source by itself.
    """

    def __init__(self, planned_seconds: float) -> None:
        self._planned_seconds = planned_seconds
        self.apart: dict[Source, ErrorEvidence] = {}
        self._pooled: ErrorEvidence | None = None  # of both of `_pool`
        self._pool: tuple[Source, ...] = ()
        self._counted: set[Source] = set()  # by counters, so never pooled

    def start_step(self) -> None:
        for evidence in self._all():
            evidence.start_step()

    def of(self, source: Source, start: float) -> ErrorEvidence:
        """The source's own evidence, which begins with its first word."""
        if source not in self.apart:
            self.apart[source] = ErrorEvidence(start, self._planned_seconds)
        return self.apart[source]

    def observe(self, source: Source, start: float, seen: Observed) -> None:
        """What a counter saw."""
        self._counted.add(source)
        self.of(source, start).add(seen)

    def add(
        self, source: Source, start: float, arrivals: Marks, failures: Marks, traffic: Source | None
    ) -> None:
        """Requests seen one by one; `traffic` is the source that shows users' requests so."""
        told = [self.of(source, start)]
        if traffic is not None and source in (Source.PROBE, traffic):
            told += self._pool_of(source, traffic)
        for evidence in told:
            evidence.add_arrivals(arrivals)
            evidence.add_failures(failures)

    def _pool_of(self, source: Source, traffic: Source) -> list[ErrorEvidence]:
        """It begins with the first word of the second source, as a copy of the first's evidence."""
        first = traffic if source is Source.PROBE else Source.PROBE
        if self._counted & {source, first}:
            return []
        if self._pooled is None and first in self.apart:
            self._pooled = ErrorEvidence.from_state(self.apart[first].state())
            self._pool = (Source.PROBE, traffic)
        return [self._pooled] if self._pooled else []

    def e_value(self, now: float) -> float:
        """1 where nothing was seen."""
        found = [evidence.evidence(now) for evidence in self._heard(now)]
        return sum(found) / len(found) if found else 1.0

    def ahead(self, now: float) -> float:
        """The loudest evidence with its last seconds, which are not judged yet."""
        return max((evidence.evidence_ahead(now) for evidence in self._heard(now)), default=1.0)

    def _heard(self, now: float) -> list[ErrorEvidence]:
        for evidence in self._all():
            evidence.evidence(now)  # so that all counts are of the same moment
        if self._pooled is None or self._counted & set(self._pool):
            return list(self.apart.values())
        probes, traffic = self._pool
        if not self.apart[probes].is_like(self.apart[traffic]):
            return list(self.apart.values())
        others = [evidence for source, evidence in self.apart.items() if source not in self._pool]
        return [self._pooled, *others]

    def _all(self) -> list[ErrorEvidence]:
        return [*self.apart.values(), *([self._pooled] if self._pooled else [])]

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "apart": {str(source): evidence.state() for source, evidence in self.apart.items()},
            "pooled": self._pooled.state() if self._pooled else None,
            "pool": [str(source) for source in self._pool],
            "counted": sorted(map(str, self._counted)),
        }

    @classmethod
    def from_state(cls, planned_seconds: float, state: Mapping[str, Any]) -> Self:
        self = cls(planned_seconds)
        self.apart = {Source(s): ErrorEvidence.from_state(e) for s, e in state["apart"].items()}
        self._pooled = ErrorEvidence.from_state(state["pooled"]) if state["pooled"] else None
        self._pool = tuple(Source(source) for source in state["pool"])
        self._counted = {Source(source) for source in state["counted"]}
        return self
