"""Flagger's canary analysis on a rollout's columns.

Owns the rule as in its sources: each interval one check, of success rate and then of request duration, over
the metric's own interval; a failed check is counted, for good (`setStatusFailedChecks` adds one and nothing
takes any away while the analysis runs); at the beginning of a turn with `threshold` failed checks, it rolls
back. A query without a value fails the check, and so does NaN.

Sources: fluxcd/flagger, pkg/controller/scheduler.go (`advanceCanary`, `runAnalysis`),
pkg/controller/scheduler_metrics.go (`runBuiltinMetricChecks`), pkg/metrics/providers/prometheus.go
(`RunQuery`), pkg/metrics/observers/istio.go (the queries). Configuration: docs/gitbook/usage/how-it-works.md,
whose threshold is 10; it is 5 in the older docs/gitbook/how-it-works.md and in most tutorials.
"""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.decision import Decision
from benchmarks.decisions.prometheus import Arm, usual_ttft_p99
from benchmarks.decisions.rollout import Rollout


@dataclass(frozen=True)
class Flagger:
    """A Canary's `analysis`; the values are the documentation's example.

    Attributes:
        ttft_ratio: The documentation's limit of 500 ms is for a web service. Here it is this many times the
            baseline's p99 TTFT before the rollout: arbitrary, what an operator would write down.
    """

    interval_seconds: float = 60.0
    threshold: int = 10
    least_success_percent: float = 99.0
    metric_seconds: float = 60.0
    ttft_ratio: float = 1.5


def judge(rollout: Rollout, settings: Flagger) -> Decision:
    """ROLLBACK at the turn after the last failed check allowed; PROMOTE at the end otherwise."""
    canary = Arm(rollout, canary=True)
    limit = settings.ttft_ratio * usual_ttft_p99(rollout)
    turns = np.arange(1, rollout.end_seconds // settings.interval_seconds + 1) * settings.interval_seconds
    success = 100 * (1 - canary.error_ratio(turns, settings.metric_seconds))
    failed, why = 0, ""
    for now, percent in zip(turns.tolist(), success.tolist(), strict=True):
        if failed >= settings.threshold:
            return Decision("ROLLBACK", now, why)
        p99 = canary.ttft_quantile(0.99, now, settings.metric_seconds)
        if not percent >= settings.least_success_percent:  # not `<`: NaN is no value, and fails
            failed, why = failed + 1, "no values" if math.isnan(percent) else "errors"
        elif not p99 <= limit:
            failed, why = failed + 1, "no values" if math.isnan(p99) else "ttft"
    return Decision("PROMOTE", rollout.end_seconds)
