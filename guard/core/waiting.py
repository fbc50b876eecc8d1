"""Requests seen one by one: when each is known, and when one that waits becomes an error.

Owns the 60 s after which a request without a first token is bad (DESIGN 5.1), and that none counts twice.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Self

from guard.core.hard_limits import FIRST_TOKEN_SECONDS
from guard.core.samples import Arm, Outcome, RequestSample, Source


class Waiting:
    """Holds requests without outcome until they end or expire."""

    def __init__(self) -> None:
        self._waiting: dict[str, RequestSample] = {}
        self._expired: dict[str, float] = {}
        self.dropped = 0

    @property
    def current(self) -> list[RequestSample]:
        """Those that wait now."""
        return list(self._waiting.values())

    def ended(self, samples: Iterable[RequestSample]) -> Iterator[tuple[RequestSample, float]]:
        """Those that ended, each with the moment at which that was known; the others begin to wait.

        A sample without any finite time is dropped and counted.
        """
        for sample in samples:
            start = _start(sample)
            if start is None:
                self.dropped += 1
            elif sample.outcome is None:
                if sample.request_id not in self._expired:
                    self._waiting[sample.request_id] = sample
            else:
                self._waiting.pop(sample.request_id, None)
                if self._expired.pop(sample.request_id, None) is None:
                    yield sample, _known_at(sample, start)

    def expired(self, now: float) -> Iterator[tuple[RequestSample, float]]:
        """Those that have waited 60 s for a first token by now, as timeouts."""
        for key, sample in list(self._waiting.items()):
            at = (_start(sample) or 0.0) + FIRST_TOKEN_SECONDS
            if sample.first_token_at is None and at <= now:
                del self._waiting[key]
                self._expired[key] = at
                yield replace(sample, outcome=Outcome.TIMEOUT), at

    def state(self) -> dict[str, Any]:
        return {
            "waiting": [asdict(s) for s in self._waiting.values()],
            "expired": self._expired,
            "dropped": self.dropped,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        for row in state["waiting"]:
            sample = RequestSample(**{**row, "source": Source(row["source"]), "arm": Arm(row["arm"])})
            self._waiting[sample.request_id] = sample
        self._expired = dict(state["expired"])
        self.dropped = state["dropped"]
        return self


def _start(sample: RequestSample) -> float | None:
    start = sample.started_at
    return start if start is not None and math.isfinite(start) else None


def _known_at(sample: RequestSample, start: float) -> float:
    """An error counts at min(its end, 60 s after its arrival); a success when it ended."""
    end = sample.finished_at
    if end is None or not math.isfinite(end):
        return start + FIRST_TOKEN_SECONDS if sample.outcome is not Outcome.OK else start
    return end if sample.outcome is Outcome.OK else min(end, start + FIRST_TOKEN_SECONDS)
