"""Kayenta's canary analysis on a rollout's columns: the judge NetflixACAJudge, and the score of each run.

Owns the rule as in its sources: per metric, values beyond three interquartile ranges (or the 1st and 99th
percentile, if wider) are dropped; the 98 % Mann-Whitney interval of canary - baseline is High when its lower
end is above a quarter of the absolute Hodges-Lehmann estimate; a group's score is the share of its metrics
that passed, a group without data scores 100, half of the metrics without data score 0. A run below
`marginal` fails the canary at once; the last run has to reach `pass`.

Sources: spinnaker/kayenta, kayenta-judge/.../NetflixACAJudge.scala, MannWhitneyClassifier.scala,
WeightedSumScorer.scala, IQRDetector.scala, Transforms.scala. Configuration:
spinnaker.io, "Best practices for configuring canary" (75, 95, 50 points a run, three runs).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.decision import Decision
from benchmarks.decisions.mann_whitney import interval
from benchmarks.decisions.prometheus import Arm
from benchmarks.decisions.rollout import Floats, Rollout

TOLERANCE, LEVEL = 0.25, 0.98  # constants of the judge
FENCE = 3.0  # interquartile ranges
NO_DATA_SHARE = 0.5  # of the metrics, from which the score is 0
METRICS: dict[str, Callable[[Arm, Floats, float], Floats]] = {
    "errors": Arm.error_ratio,
    "ttft": Arm.ttft_mean,
    "itl": Arm.itl_mean,
}


@dataclass(frozen=True)
class Kayenta:
    """A canary stage. Each metric is a group of its own, so that one High fails a run (67 < 75).

    Attributes:
        step_seconds: Of the time series; 60 is the default. The 50 points a run that the documentation wants
            would take 50 minutes; finer steps give them in 10, and false alarms, as neighbours agree.
        interval_seconds: Between runs; each looks back to the start. Three runs, of 10 minutes, not an hour.
    """

    step_seconds: float = 60.0
    interval_seconds: float = 600.0
    marginal: float = 75.0
    passing: float = 95.0


def judge(rollout: Rollout, settings: Kayenta) -> Decision:
    """ROLLBACK at the first run below marginal, or when the last is below pass; else PROMOTE."""
    canary, baseline = Arm(rollout, canary=True), Arm(rollout, canary=False)
    runs = int(rollout.end_seconds / settings.interval_seconds)
    for run in range(1, runs + 1):
        now = run * settings.interval_seconds
        times = np.arange(settings.step_seconds, now + settings.step_seconds / 2, settings.step_seconds)
        labels = {name: _label(metric, canary, baseline, times, settings) for name, metric in METRICS.items()}
        if score(list(labels.values())) < (settings.passing if run == runs else settings.marginal):
            why = next((name for name, label in labels.items() if label == "High"), "no values")
            return Decision("ROLLBACK", now, why)
    return Decision("PROMOTE", rollout.end_seconds)


def score(labels: list[str]) -> float:
    """0 to 100, of metrics that are groups of their own with equal weights."""
    if labels.count("Nodata") >= NO_DATA_SHARE * len(labels):
        return 0.0
    return 100.0 * sum(label != "High" for label in labels) / len(labels)


def classify(experiment: Floats, control: Floats) -> str:
    """`Pass`, `High` or `Nodata`, for a metric of which more is worse; nan is dropped."""
    experiment, control = _cleaned(experiment), _cleaned(control)
    if not len(experiment) or not len(control):
        return "Nodata"
    if len(np.unique(np.concatenate([experiment, control]))) == 1:
        return "Pass"
    if len(experiment) == len(control) and (np.sort(experiment) == np.sort(control)).all():
        return "Pass"
    if len(np.unique(experiment)) == len(np.unique(control)) == 1:
        experiment, control = _spread(experiment), _spread(control)
    lower, _, estimate = interval(experiment, control, LEVEL)
    high = lower > TOLERANCE * abs(estimate) and experiment.mean() >= control.mean()
    return "High" if high else "Pass"


def _label(
    metric: Callable[[Arm, Floats, float], Floats],
    canary: Arm,
    baseline: Arm,
    times: Floats,
    settings: Kayenta,
) -> str:
    return classify(
        metric(canary, times, settings.step_seconds), metric(baseline, times, settings.step_seconds)
    )


def _spread(values: Floats) -> Floats:
    """Equal values a hundred-thousandth apart: Kayenta adds noise of that size, here the same every time."""
    return values * (1 + 1e-5 * np.linspace(-1, 1, len(values)))


def _cleaned(values: Floats) -> Floats:
    """Without nan and outliers."""
    values = values[~np.isnan(values)]
    if not len(values):
        return values
    p1, p25, p75, p99 = np.percentile(values, [1, 25, 75, 99], method="weibull")  # commons-math's estimator
    low, high = p25 - FENCE * (p75 - p25), p75 + FENCE * (p75 - p25)
    kept: Floats = values[(values >= min(p1, low)) & (values <= max(p99, high))]
    return kept
