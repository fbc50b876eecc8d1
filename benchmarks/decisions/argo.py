"""Argo Rollouts' background analysis on a rollout's columns.

Owns the rule as in its sources: a measurement at the start and one each interval; one whose success
condition does not hold (NaN included) has failed; a metric fails when more than `failureLimit` of its
measurements failed, or when more than four in a row ended in an error, as `result[0]` of an empty answer
does; either aborts the rollout. A metric that was measured `count` times is done.

Sources: argoproj/argo-rollouts, analysis/analysis.go (`generateMetricTasks`, `assessMetricStatus`),
metricproviders/prometheus/prometheus.go (`processResponse`). Configuration: docs/features/analysis.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.decision import Decision
from benchmarks.decisions.prometheus import Arm, usual_ttft_p99
from benchmarks.decisions.rollout import Floats, Rollout

CONSECUTIVE_ERRORS = 4  # DefaultConsecutiveErrorLimit
PAUSE_SECONDS = 300.0  # before an analysis that is a step
RATE_SECONDS = 30.0  # irate looks at the last two scrapes; kube-prometheus scrapes every 30 s


@dataclass(frozen=True)
class Argo:
    """An AnalysisTemplate's metrics; interval, count, limit and success ratio as in the documentation.

    Attributes:
        count: Measurements of an analysis that is a step of its own, after a pause of 5 minutes at each
            weight; None: one analysis in the background, for the whole rollout.
        failure_limit: 3 in the documentation's background analysis; 0 by default.
        ttft_ratio: As in `flagger.Flagger`; a second metric beside the success rate.
    """

    interval_seconds: float = 300.0
    count: int | None = None
    failure_limit: int = 3
    least_success_ratio: float = 0.95
    ttft_ratio: float = 1.5


BACKGROUND = Argo()
STEPS = Argo(interval_seconds=60.0, count=5, failure_limit=0)


def judge(rollout: Rollout, settings: Argo) -> Decision:
    """ROLLBACK at the measurement that is one too many; PROMOTE at the end otherwise."""
    canary = Arm(rollout, canary=True)
    limit = settings.ttft_ratio * usual_ttft_p99(rollout)
    for times in _analyses(rollout, settings):
        ratios = 1 - canary.error_ratio(times, RATE_SECONDS)
        failed, errors = {"errors": 0, "ttft": 0}, 0
        for now, ratio in zip(times.tolist(), ratios.tolist(), strict=True):
            errors = 0 if canary.begins <= now else errors + 1
            if errors > CONSECUTIVE_ERRORS:
                return Decision("ROLLBACK", now, "no values")
            if errors:
                continue
            p99 = canary.ttft_quantile(0.99, now, settings.interval_seconds)
            failed["errors"] += not ratio >= settings.least_success_ratio  # not `<`: NaN has failed
            failed["ttft"] += not p99 <= limit
            worst = max(failed, key=lambda metric: failed[metric])
            if failed[worst] > settings.failure_limit:
                return Decision("ROLLBACK", now, "no values" if math.isnan(ratio) else worst)
    return Decision("PROMOTE", rollout.end_seconds)


def _analyses(rollout: Rollout, settings: Argo) -> list[Floats]:
    """When each analysis measures."""
    if settings.count is None:
        return [np.arange(0.0, rollout.end_seconds, settings.interval_seconds)]
    measured = PAUSE_SECONDS + np.arange(settings.count, dtype=np.float64) * settings.interval_seconds
    return [step.start_seconds + measured for step in rollout.steps]
