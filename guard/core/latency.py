"""What one arm did under load, in the field's terms: TTFT, ITL, TPOT, E2E, errors, throughput, goodput.

Owns the formulas and the definition of a quantile. Judges nothing.

Latencies are those of requests that ended well; a failed one is counted by its kind and never mixed in,
since an error that came fast is not a fast answer.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from guard.core.samples import Outcome, RequestSample


def quantile(values: Sequence[float], q: float) -> float | None:
    """The smallest value that at least a share q of the values does not exceed (inverse ECDF, type 1).

    An observed value, never between two; so `quantile(x, 0.95) <= limit` exactly when at most 5 % of x are
    above the limit, which is how a quantile objective is judged.

    Args:
        values: In any order.
        q: 0 < q <= 1.
    Returns:
        None without values.
    Source: Hyndman and Fan 1996, definition 1.
    """
    if not 0 < q <= 1:
        raise ValueError(f"quantile {q} is not above 0 and at most 1")
    if not values:
        return None
    rank = math.ceil(round(q * len(values), 9))  # rounded: 0.07 * 100 is above 7 in binary
    return sorted(values)[rank - 1]


@dataclass(frozen=True)
class Quantiles:
    """Of one measure, in seconds; `samples` values stand behind it."""

    p50: float
    p90: float
    p95: float
    p99: float
    samples: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quantiles | None":
        """None without values."""
        ordered = sorted(values)
        p50, p90, p95, p99 = (quantile(ordered, q) for q in (0.5, 0.9, 0.95, 0.99))
        if p50 is None or p90 is None or p95 is None or p99 is None:
            return None
        return cls(p50, p90, p95, p99, len(ordered))


@dataclass(frozen=True)
class Goodput:
    """Requests that ended well and met every limit: how many, of how many, and how many a second."""

    met: int
    total: int
    ratio: float
    requests_per_second: float | None


@dataclass(frozen=True)
class LoadSummary:
    """One arm.

    Attributes:
        requests: Begun, whatever became of them.
        ok: Ended well.
        waiting: Given up in flight: without an outcome.
        failed: Outcome to count, for the others (`error`, `refused`, ...).
        seconds: From the first request's start to the last one's end; None when nothing ended.
        ttft: Scheduled time (sent, in a closed loop) to first token.
        itl: Every gap between two tokens, of all requests together.
        tpot: (E2E - TTFT) / (output tokens - 1), one value a request.
        e2e: Scheduled time (sent, in a closed loop) to the end of the answer.
        requests_per_second: Ended well, over `seconds`.
        output_tokens_per_second: By the server's own count of tokens, over `seconds`.
        goodput: None where no limit is set, or nothing was sent.
    """

    requests: int
    ok: int
    waiting: int
    failed: Mapping[str, int]
    seconds: float | None
    ttft: Quantiles | None
    itl: Quantiles | None
    tpot: Quantiles | None
    e2e: Quantiles | None
    requests_per_second: float | None
    output_tokens_per_second: float | None
    dispatch_lag: Quantiles | None
    goodput: Goodput | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def summarise(samples: Sequence[RequestSample], limits: Mapping[str, float] | None = None) -> LoadSummary:
    """Sum one arm up.

    Args:
        samples: Of one arm and one run.
        limits: Measure (`ttft`, `itl`, `tpot`, `e2e`) to the seconds that a request must not exceed, for
            goodput; a request's own ITL is the mean of its gaps.
    """
    ok = [sample for sample in samples if sample.outcome is Outcome.OK]
    seconds = _window(samples)
    tokens = [s.output_tokens for s in ok if s.output_tokens is not None]
    return LoadSummary(
        requests=len(samples),
        ok=len(ok),
        waiting=sum(sample.outcome is None for sample in samples),
        failed=failures(samples),
        seconds=seconds,
        ttft=Quantiles.of(_known(ok, "ttft")),
        itl=Quantiles.of([gap for sample in ok for gap in gaps(sample)]),
        tpot=Quantiles.of(_known(ok, "tpot")),
        e2e=Quantiles.of(_known(ok, "e2e")),
        requests_per_second=len(ok) / seconds if seconds else None,
        output_tokens_per_second=sum(tokens) / seconds if seconds and tokens else None,
        dispatch_lag=Quantiles.of(
            [s.dispatch_lag_seconds for s in samples if s.dispatch_lag_seconds is not None]
        ),
        goodput=_goodput(samples, limits, seconds) if limits else None,
    )


def gaps(sample: RequestSample) -> list[float]:
    """ITL: the seconds between each two tokens that follow each other; a chunk is taken as one token."""
    return [later - earlier for earlier, later in pairwise(sample.token_at)]


def failures(samples: Sequence[RequestSample]) -> dict[str, int]:
    """Requests that ended badly, by outcome, the most frequent first."""
    bad = (s.outcome.value for s in samples if s.outcome is not None and s.outcome is not Outcome.OK)
    return dict(Counter(bad).most_common())


def meets(sample: RequestSample, limits: Mapping[str, float]) -> bool:
    """Whether a request ended well within every limit; what is not known of it is not met."""
    if sample.outcome is not Outcome.OK:
        return False
    values = ((_MEASURES[name](sample), limit) for name, limit in limits.items())
    return all(value is not None and value <= limit for value, limit in values)


_MEASURES: dict[str, Callable[[RequestSample], float | None]] = {
    "ttft": lambda sample: sample.ttft_seconds,
    "itl": lambda sample: sample.itl_mean_seconds,  # the mean of its gaps
    "tpot": lambda sample: sample.tpot_seconds,
    "e2e": lambda sample: sample.e2e_seconds,
}


def _known(samples: Sequence[RequestSample], measure: str) -> list[float]:
    values = (_MEASURES[measure](sample) for sample in samples)
    return [value for value in values if value is not None]


def _window(samples: Sequence[RequestSample]) -> float | None:
    starts = [s.started_at for s in samples if s.started_at is not None]
    ends = [s.finished_at for s in samples if s.finished_at is not None]
    return max(ends) - min(starts) if starts and ends else None


def _goodput(
    samples: Sequence[RequestSample], limits: Mapping[str, float], seconds: float | None
) -> Goodput | None:
    if not samples:
        return None
    met = sum(meets(sample, limits) for sample in samples)
    return Goodput(met, len(samples), met / len(samples), met / seconds if seconds else None)
