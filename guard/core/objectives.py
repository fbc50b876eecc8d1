"""Absolute objectives, judged once at the end of a run or a step's hold (DESIGN 5.9a).

Owns what counts as over the limit and the exact test; both arms over it is the platform's trouble. Refuses
to know the documents in which users write objectives: callers convert.

A quantile objective is a ratio: p95 <= 750 ms says that at most 5 % of the requests are slower than 750 ms.
So it needs no estimate of the quantile, and 3 slow requests of 20 are not yet a breach.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from guard.core.binomial import binomial_upper_tail
from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.latency import quantile
from guard.core.observations import BAD, CLIENT_ERROR, OK, WAITS, Floats, Requests
from guard.core.request_columns import Replicas, columns
from guard.core.samples import RequestSample, window_seconds
from guard.core.verdict import Verdict

ALPHA = 0.001


@dataclass(frozen=True)
class LatencyObjective:
    """At most 1 - `quantile_ratio` of the requests may be slower than the limit."""

    signal: Literal["ttft", "itl", "tpot", "e2e"]
    quantile_ratio: float
    limit_seconds: float

    @property
    def name(self) -> str:
        """`ttft-p95`."""
        return f"{self.signal}-{self.quantile_name}"

    @property
    def quantile_name(self) -> str:
        return f"p{round(100 * self.quantile_ratio, 6):g}"

    @property
    def limit_ratio(self) -> float:
        """Share of requests that may be over the limit."""
        return round(1 - self.quantile_ratio, 12)


@dataclass(frozen=True)
class ErrorObjective:
    """At most this share of the requests may fail."""

    limit_ratio: float

    @property
    def name(self) -> str:
        return "errors"

    @property
    def signal(self) -> str:
        return "errors"


Objective = LatencyObjective | ErrorObjective


def judge_objective(
    objective: Objective,
    *,
    canary: Sequence[RequestSample],
    baseline: Sequence[RequestSample] | None,
    min_requests: int,
    now: float | None = None,
) -> Check:
    """Judge one objective on the requests of one run.

    Args:
        canary, baseline: Of one source and the same time; None where there is no baseline.
        min_requests: Fewer canary requests are INCONCLUSIVE, whatever they show; none are NO_DATA.
        now: Lets a request count that still waits for longer than the limit.
    Returns:
        A check named `objective-ttft-p95`. For latency, `value` is the observed quantile in seconds, unless
        it falls among requests that never got there.
    """
    ours = count_over(objective, canary, now)
    theirs = None if baseline is None else count_over(objective, baseline, now)
    check = _ratio_check(objective, ours, theirs, min_requests)
    leans = _leans(check)
    check = replace(check, window_seconds=window_seconds(canary))
    if isinstance(objective, LatencyObjective):
        check = _in_seconds(check, objective, canary, baseline)
    return check.as_undecided() if leans else check


def judge_ratio(
    objective: Objective, canary: ArmCounts, baseline: ArmCounts | None, *, min_requests: int
) -> Check:
    """FAIL when the exact one-sided binomial p of the canary is <= .001, and the baseline's is not.

    A PASS with more over the limit than allowed is marked as undecided: chance may explain it.
    """
    check = _ratio_check(objective, canary, baseline, min_requests)
    return check.as_undecided() if _leans(check) else check


def _leans(check: Check) -> bool:
    over = check.value is not None and check.limit is not None and check.value > check.limit
    return check.verdict is Verdict.PASS and over


def _ratio_check(
    objective: Objective, canary: ArmCounts, baseline: ArmCounts | None, min_requests: int
) -> Check:
    name, limit = f"objective-{objective.name}", objective.limit_ratio
    if not canary.total:
        reason = f"no canary request to judge {objective.name} by"
        return Check(name, Verdict.NO_DATA, reason, objective.signal, limit=limit, unit="ratio", samples=0)
    p_value = binomial_upper_tail(canary.bad, canary.total, limit)
    also = baseline is not None and _breached(baseline, limit)
    verdict, why = _verdict(p_value <= ALPHA, also, canary.total, min_requests)
    if verdict is Verdict.PASS and canary.bad > limit * canary.total:
        why = "more than allowed, which chance may explain"
    what = "failed" if isinstance(objective, ErrorObjective) else f"over {objective.limit_seconds:g} s"
    return Check(
        name,
        verdict,
        f"{canary.bad} of {canary.total} canary requests ({canary.bad / canary.total:.1%}) {what}, "
        f"{100 * limit:.4g}% allowed (p = {p_value:.2g}): {why}",
        objective.signal,
        value=canary.bad / canary.total,
        limit=limit,
        baseline_value=baseline.bad / baseline.total if baseline and baseline.total else None,
        unit="ratio",
        samples=canary.total,
        p_value=p_value,
        detail={"over": canary.bad, "allowed_ratio": limit, "alpha": ALPHA},
    )


def _breached(arm: ArmCounts, limit: float) -> bool:
    return arm.total > 0 and binomial_upper_tail(arm.bad, arm.total, limit) <= ALPHA


def _verdict(breached: bool, baseline_too: bool, total: int, min_requests: int) -> tuple[Verdict, str]:
    if total < min_requests:
        return Verdict.INCONCLUSIVE, f"about {min_requests - total} more requests are needed"
    if breached and baseline_too:
        return Verdict.INCONCLUSIVE, "the baseline breaches it as well: the platform, not the change"
    if breached:
        return Verdict.FAIL, "objective breached"
    return Verdict.PASS, "objective not breached"


def count_over(objective: Objective, samples: Sequence[RequestSample], now: float | None = None) -> ArmCounts:
    """How many requests are over the objective's limit, of those of which that is known."""
    return counts_over(objective, columns(samples, Replicas()), now)


def counts_over(objective: Objective, rows: Requests, now: float | None = None) -> ArmCounts:
    """The same of requests in columns."""
    if isinstance(objective, ErrorObjective):
        return ArmCounts(int((rows.outcome >= BAD).sum()), int((rows.outcome != WAITS).sum()))
    values = counted_seconds(objective, rows, now)
    return ArmCounts(int((values > objective.limit_seconds).sum()), int((~np.isnan(values)).sum()))


def counted_seconds(objective: LatencyObjective, rows: Requests, now: float | None = None) -> Floats:
    """Each request's latency as it counts against the objective; nan where it says nothing.

    A request that failed counts as inf: its user waited in vain, and leaving it out would let an overloaded
    server improve its p95 by failing the slow ones. A 4xx is left out: nothing was generated, and the errors
    judge it. So does at `now` one that has waited for longer than the limit.
    """
    values = latency_seconds(objective.signal, rows)
    if objective.signal != "ttft":
        values = np.where(rows.outcome == OK, values, np.nan)
    unknown = np.isnan(values)
    values = np.where(unknown & (rows.outcome == BAD), np.inf, values)
    if now is not None and objective.signal in ("ttft", "e2e"):
        late = (rows.outcome == WAITS) & (now - rows.started > objective.limit_seconds)
        values = np.where(unknown & late, np.inf, values)
    counted: Floats = np.where(rows.outcome == CLIENT_ERROR, np.nan, values)
    return counted


def latency_seconds(signal: str, rows: Requests) -> Floats:
    """One of `ttft`, `itl` (the request's mean gap), `tpot`, `e2e`; nan where unknown.

    TPOT = (E2E - TTFT) / (output tokens - 1), of two tokens or more.
    """
    ttft, e2e = rows.first_token - rows.started, rows.finished - rows.started
    later_tokens = np.where(rows.output_tokens >= 2, rows.output_tokens - 1, np.nan)
    values: dict[str, Floats] = {
        "ttft": ttft,
        "itl": rows.itl_mean,
        "tpot": (e2e - ttft) / later_tokens,
        "e2e": e2e,
    }
    return values[signal]


def _in_seconds(
    check: Check,
    objective: LatencyObjective,
    canary: Sequence[RequestSample],
    baseline: Sequence[RequestSample] | None,
) -> Check:
    value, other = _observed(objective, canary), _observed(objective, baseline or ())
    shown = "" if value is None else f"{objective.signal.upper()} {objective.quantile_name} {value:.3g} s; "
    return replace(
        check,
        reason=shown + check.reason,
        value=value,
        limit=objective.limit_seconds,
        baseline_value=other,
        unit="seconds",
        detail={**check.detail, "over_ratio": check.value},
    )


def _observed(objective: LatencyObjective, samples: Sequence[RequestSample]) -> float | None:
    """The quantile over all requests that count; None when it falls among those without a value."""
    counted = counted_seconds(objective, columns(samples, Replicas()))
    found = quantile(counted[~np.isnan(counted)].tolist(), objective.quantile_ratio)
    return None if found == math.inf else found
