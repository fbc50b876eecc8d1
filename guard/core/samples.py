"""One request as every source writes it: the row of requests.parquet (DESIGN section 12).

Owns the words in files: arms, sources, outcomes. Times are float seconds on one monotonic clock per file
(or seconds since the first step in a recorded rollout). None means unknown, never zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Arm(StrEnum):
    BASELINE = "baseline"
    CANARY = "canary"


class Source(StrEnum):
    PROBE = "probe"
    LOAD = "load"
    USER = "user"
    ACCESS_LOG = "access_log"
    SIMULATED = "simulated"


class Outcome(StrEnum):
    OK = "ok"
    ERROR = "error"  # an HTTP status of 400 or above, or an error event in the stream
    REFUSED = "refused"  # no connection
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"  # the stream ended before finish_reason and [DONE]
    STALLED = "stalled"  # tokens stopped coming
    INVALID = "invalid"  # not an SSE stream, or not JSON in it


@dataclass
class RequestSample:
    """One request. `ttft` = first_token_at - scheduled_at (sent_at where nothing scheduled it)."""

    request_id: str
    source: Source
    arm: Arm
    pair_id: str | None = None
    worker: str | None = None
    replica: str | None = None
    weight_percent: int | None = None
    scheduled_at: float | None = None
    sent_at: float | None = None
    headers_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    token_at: list[float] = field(default_factory=list)
    itl_mean_seconds: float | None = None
    finished_at: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str | None = None
    outcome: Outcome | None = None  # None: still waiting
    status: int | None = None
    error: str | None = None
    dispatch_lag_seconds: float | None = None
    read_lag_seconds: float | None = None

    @property
    def started_at(self) -> float | None:
        """When it was due, or, of a request without a schedule, when it was sent."""
        return self.scheduled_at if self.scheduled_at is not None else self.sent_at

    @property
    def ttft_seconds(self) -> float | None:
        """Time to the first content token, from the scheduled time (no coordinated omission)."""
        start = self.started_at
        if start is None or self.first_token_at is None:
            return None
        return self.first_token_at - start

    @property
    def e2e_seconds(self) -> float | None:
        """Time to the end of the answer, from the scheduled time."""
        start = self.started_at
        if start is None or self.finished_at is None:
            return None
        return self.finished_at - start

    @property
    def tpot_seconds(self) -> float | None:
        """TPOT = (E2E - TTFT) / (output tokens - 1); None below two tokens."""
        if self.output_tokens is None or self.output_tokens < 2:
            return None
        if self.e2e_seconds is None or self.ttft_seconds is None:
            return None
        return (self.e2e_seconds - self.ttft_seconds) / (self.output_tokens - 1)


def window_seconds(samples: Iterable[RequestSample]) -> float | None:
    """The time that requests of one clock cover: from the first start to the last start or end.

    None when no start is known.
    """
    samples = list(samples)
    starts = [s.started_at for s in samples if s.started_at is not None]
    ends = [s.finished_at for s in samples if s.finished_at is not None]
    return max([*starts, *ends]) - min(starts) if starts else None
