"""What the plots of a report show: requests, traffic per arm and canary weight over time.

Owns turning samples into points and bins. Times are Unix seconds. A guard that sees only a gateway's
counters fills `TrafficBin` from them and has no points.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from guard.core.samples import Arm, Outcome, RequestSample, Source


@dataclass(frozen=True)
class WeightPoint:
    """From `at` on, this share of the traffic went to the canary."""

    at: float
    weight_percent: int


@dataclass(frozen=True)
class RequestPoint:
    """One request as a plot shows it. `at` is its scheduled (else sent) time; outcome None: still waiting."""

    at: float
    arm: Arm
    source: Source
    ttft_seconds: float | None
    outcome: Outcome | None


@dataclass(frozen=True)
class TrafficBin:
    """Requests and failed requests of one arm in [at, at + seconds), from any source that can count."""

    at: float
    seconds: float
    arm: Arm
    requests: int
    errors: int


def points(samples: Iterable[RequestSample], offset_seconds: float = 0.0) -> tuple[RequestPoint, ...]:
    """Samples as a plot shows them, in order of time; those without any time are left out.

    Args:
        samples: Of one clock.
        offset_seconds: What turns that clock into Unix seconds.
    """
    found = [
        RequestPoint(start + offset_seconds, s.arm, s.source, s.ttft_seconds, s.outcome)
        for s in samples
        if (start := s.started_at) is not None
    ]
    return tuple(sorted(found, key=lambda point: point.at))


def bins(requests: Iterable[RequestPoint], seconds: float) -> tuple[TrafficBin, ...]:
    """Requests and errors per arm and time bin; a request still waiting is counted, and is no error yet."""
    counts: dict[tuple[float, Arm], list[int]] = {}
    for point in requests:
        count = counts.setdefault((point.at // seconds * seconds, point.arm), [0, 0])
        count[0] += 1
        count[1] += point.outcome not in (None, Outcome.OK)
    return tuple(TrafficBin(at, seconds, arm, *count) for (at, arm), count in sorted(counts.items()))
