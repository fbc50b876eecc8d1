"""What a load says before anything is compared: was it sent in time, and was there anything to measure?

Owns two absolute checks: on the client, since a load whose sender was late says nothing about the servers,
and on the answers as such. Refuses latency limits (`objectives`) and comparison (`comparison`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from guard.core.check import Check
from guard.core.latency import failures, quantile
from guard.core.samples import Outcome, RequestSample, window_seconds
from guard.core.verdict import Verdict

# Above it a request's latency is more our own than the server's: 100 ms is a tenth or more of the usual
# objectives on TTFT. Arbitrary beyond that.
MAX_DISPATCH_LAG_SECONDS = 0.1
# A single hiccup of the machine delays one pair; it must not void a run of 30 requests.
_LATE_REQUESTS_ALLOWED = 2

# The hard limit on errors (DESIGN 5.1), over the whole load.
BAD_REQUESTS = 5
BAD_RATIO = 0.5
HEALTHY_BAD_RATIO = 0.1


def judge_client(samples: Sequence[RequestSample]) -> Check:
    """Was the load sent when it was due? PASS, or ERROR "client saturated".

    Late is a request that this process began more than 100 ms after its scheduled time. ERROR when more
    than 1 % are late (so: when the lag's p99 is above 100 ms), and more than two of them. A closed loop has
    no schedule to be late for, and passes.
    """
    lags = [s.dispatch_lag_seconds for s in samples if s.dispatch_lag_seconds is not None]
    late = sum(lag > MAX_DISPATCH_LAG_SECONDS for lag in lags)
    saturated = late > max(_LATE_REQUESTS_ALLOWED, 0.01 * len(lags))
    p99 = quantile(lags, 0.99)
    shown = "nothing was scheduled" if p99 is None else f"dispatch lag p99 {1000 * p99:.1f} ms"
    limit = f"{1000 * MAX_DISPATCH_LAG_SECONDS:g} ms"
    reason = f"{shown}, {late} of {len(lags)} requests later than {limit}"
    if saturated:
        reason = f"client saturated: {reason}; the machine that sends is too busy for this rate"
    return Check(
        "load-client",
        Verdict.ERROR if saturated else Verdict.PASS,
        reason,
        value=p99,
        limit=MAX_DISPATCH_LAG_SECONDS,
        unit="seconds",
        samples=len(samples),
        window_seconds=window_seconds(samples),
    )


def judge_answers(
    canary: Sequence[RequestSample],
    baseline: Sequence[RequestSample] | None,
    *,
    min_requests: int,
    detail: Mapping[str, Any] | None = None,
) -> Check:
    """Did the canary answer at all, and often enough to be judged?

    FAIL by the hard limit: at least 5 of its requests bad, and at least half, while at most 10 % of the
    baseline's are. Where the baseline is as bad it is the platform: INCONCLUSIVE. Where no answer ever came
    (no status) and no baseline answers, it may be the way to it: ERROR.
    Else NO_DATA without a request that ended well, INCONCLUSIVE below `min_requests` of them, or PASS.

    Args:
        detail: Kept with the check: the arms' summaries.
    """
    ended = [sample for sample in canary if sample.outcome is not None]
    bad = sum(sample.outcome is not Outcome.OK for sample in ended)
    verdict, why = _answers_verdict(canary, baseline, bad, len(ended), min_requests)
    kinds = ", ".join(f"{count} {kind}" for kind, count in failures(canary).items())
    return Check(
        "load-answers",
        verdict,
        f"{len(ended) - bad} of {len(canary)} requests ended well{f' ({kinds})' if kinds else ''}: {why}",
        "hard_limit" if verdict is Verdict.FAIL else "errors",
        value=bad / len(ended) if ended else None,
        limit=BAD_RATIO,
        baseline_value=_bad_ratio(baseline) if baseline else None,
        unit="ratio",
        samples=len(ended),
        window_seconds=window_seconds(ended),
        detail=detail or {},
    )


def _answers_verdict(
    canary: Sequence[RequestSample],
    baseline: Sequence[RequestSample] | None,
    bad: int,
    ended: int,
    min_requests: int,
) -> tuple[Verdict, str]:
    if bad >= BAD_REQUESTS and bad >= BAD_RATIO * ended:
        return _hard_limit(canary, baseline)
    if ended - bad == 0:
        return Verdict.NO_DATA, "there is nothing to judge"
    if ended - bad < min_requests:
        return Verdict.INCONCLUSIVE, f"at least {min_requests} are needed"
    return Verdict.PASS, f"at least {min_requests} are enough"


def _hard_limit(
    canary: Sequence[RequestSample], baseline: Sequence[RequestSample] | None
) -> tuple[Verdict, str]:
    theirs = _bad_ratio(baseline) if baseline else None
    reached = any(sample.status is not None for sample in canary)
    if theirs is not None and theirs <= HEALTHY_BAD_RATIO:
        return Verdict.FAIL, f"half or more are bad, and {100 * theirs:.0f} % of the baseline's"
    if reached and theirs is not None:
        return Verdict.INCONCLUSIVE, f"platform: {100 * theirs:.0f} % of the baseline's are bad, too"
    if reached:
        return Verdict.FAIL, "half or more are bad"
    return Verdict.ERROR, "it never answered, and no baseline shows that the way to it works"


def _bad_ratio(samples: Sequence[RequestSample]) -> float | None:
    ended = [sample for sample in samples if sample.outcome is not None]
    return sum(s.outcome is not Outcome.OK for s in ended) / len(ended) if ended else None
