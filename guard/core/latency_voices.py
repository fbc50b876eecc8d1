"""What speaks for TTFT and ITL: users' requests one by one, pairs of probes, and replicas' histograms.

Owns that none is mixed with another: each has evidence of its own, and an e-value is the mean of those that
have seen anything. In a small fleet pairs are a second observation of users' requests (DECISION), in a large
one they stand apart. Refuses to know where values came from, and to decide.
"""

from collections.abc import Mapping
from typing import Any, Self

from guard.core.histogram_evidence import SIGNALS, HistogramEvidence
from guard.core.latency_evidence import LatencyEvidence
from guard.core.latency_ranks import LatencyRanks
from guard.core.observations import Floats, Latencies
from guard.core.small_fleet import TTFT_MARGIN, Signal

Voice = LatencyEvidence | LatencyRanks
SPEAKS_UP = 2.0  # arbitrary: below it the first of several is shown, not the loudest


class LatencyVoices:
    """Compares nothing before `begin`."""

    def __init__(self, planned_seconds: float) -> None:
        self._planned_seconds = planned_seconds
        self._start = 0.0
        self._users: dict[str, Voice] = {}
        self._users_seen = False
        self._of_pairs: LatencyEvidence | None = None  # a large fleet's
        self.histograms = HistogramEvidence(planned_seconds)
        self._canary_requests: dict[str, int] = dict.fromkeys(SIGNALS, 0)
        self._loudest: dict[str, Voice] = {}

    def begin(self, start: float, large_fleet: bool) -> None:
        """The first step; the histograms' history waits in `histograms.begin`."""
        kind, planned = LatencyRanks if large_fleet else LatencyEvidence, self._planned_seconds
        self._start = start
        self._users = {signal: kind(signal, start, planned) for signal in SIGNALS}
        self._of_pairs = LatencyEvidence("ttft", start, planned) if large_fleet else None

    def start_step(self, now: float, canary: int, baseline: int) -> None:
        for voice in [*self._users.values(), *([self._of_pairs] if self._of_pairs else [])]:
            voice.start_step(now, canary, baseline)
        self.histograms.start_step(now, canary, baseline)

    def add(self, signal: Signal, seen: Latencies) -> None:
        """Users' requests, of the one source that is heard."""
        self._users_seen = True
        self._users[signal].add(seen)
        self._canary_requests[signal] += int((seen.canary & (seen.at >= self._start)).sum())

    def add_pairs(self, at: Floats, log_ratio: Floats) -> None:
        """Paired probes' ln(canary / baseline)."""
        voice = self._of_pairs or self._users["ttft"]
        if isinstance(voice, LatencyEvidence):
            voice.add_pairs(at, log_ratio)

    def evidence(self, signal: Signal, now: float) -> float:
        """The mean of what has said anything. All are asked: being asked is what closes their bins."""
        asked = [(voice.evidence(now), voice) for voice in self._all_of(signal)]
        if not asked:
            return 1.0
        speaking = self._speaking(signal)
        heard = [(e, voice) for e, voice in asked if voice in speaking]
        loudest = max(heard, key=lambda row: row[0])
        self._loudest[signal] = loudest[1] if loudest[0] > SPEAKS_UP else heard[0][1]
        return sum(e for e, _ in heard) / len(heard)

    def hold_evidence(self, now: float) -> dict[str, float]:
        """Evidence that counts a slower machine as harm, too: it holds, and never rolls back."""
        if self._of_pairs or not self._users:
            return {}
        small = {s: [v for v in self._speaking(s) if isinstance(v, LatencyEvidence)] for s in SIGNALS}
        return {s: sum(v.hold_evidence(now) for v in few) / len(few) for s, few in small.items()}

    def _all_of(self, signal: str) -> list[Voice]:
        """Users' requests, pairs where these stand apart, histograms; none before the first step."""
        pairs = [self._of_pairs] if self._of_pairs and signal == "ttft" else []
        parts = [self._users, self.histograms.latency]
        users, histograms = ([part[signal]] if part else [] for part in parts)
        return [*users, *pairs, *histograms]

    def _speaking(self, signal: str) -> list[Voice]:
        """Those that have seen anything; users' where none has."""
        heard = [voice for voice in self._all_of(signal) if self._has_seen(signal, voice)]
        return heard or [self._users[signal]]

    def _has_seen(self, signal: str, voice: Voice) -> bool:
        if voice is self.histograms.latency.get(signal):
            return self.histograms.speaks(signal)
        paired = isinstance(voice, LatencyEvidence) and voice.seen.pairs > 0
        return paired or (self._users_seen and voice is self._users[signal])

    def of(self, signal: str) -> Voice | None:
        """The loudest; while none is loud, the first of users' requests, pairs, histograms."""
        return self._loudest.get(signal) or self._users.get(signal)

    def by_histograms(self, signal: str) -> bool:
        """Whether histograms speak, whose edges hide the tail."""
        voice = self.of(signal)
        return voice is not None and voice is self.histograms.latency.get(signal)

    def margin(self, signal: str) -> float:
        """The ratio that is still no harm."""
        voice = self.of(signal)
        return voice.margin if voice else TTFT_MARGIN

    def pairs_seen(self, signal: str) -> int:
        """Pairs of probes behind what speaks."""
        voice = self.of(signal)
        return voice.seen.pairs if isinstance(voice, LatencyEvidence) else 0

    def requests_seen(self, signal: str) -> int:
        """The canary's own requests behind what speaks, since the first step."""
        if self.by_histograms(signal):
            return self.histograms.values[signal]
        return self._canary_requests[signal] if self.of(signal) is self._users.get(signal) else 0

    def load_differs(self, signal: str) -> bool:
        """The arms' loads are so far apart that live requests show neither a slowdown nor its absence."""
        voice = self.of(signal)
        return isinstance(voice, LatencyEvidence) and voice.load_differs

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "start": self._start,
            "users": {signal: voice.state() for signal, voice in self._users.items()},
            "users_seen": self._users_seen,
            "of_pairs": self._of_pairs.state() if self._of_pairs else None,
            "histograms": self.histograms.state(),
            "canary_requests": self._canary_requests,
        }

    @classmethod
    def from_state(cls, planned_seconds: float, large_fleet: bool, state: Mapping[str, Any]) -> Self:
        self = cls(planned_seconds)
        kind = LatencyRanks if large_fleet else LatencyEvidence
        self._start, self._users_seen = state["start"], state["users_seen"]
        self._users = {signal: kind.from_state(voice) for signal, voice in state["users"].items()}
        self._of_pairs = LatencyEvidence.from_state(state["of_pairs"]) if state["of_pairs"] else None
        self.histograms = HistogramEvidence.from_state(planned_seconds, state["histograms"])
        self._canary_requests = dict(state["canary_requests"])
        return self
