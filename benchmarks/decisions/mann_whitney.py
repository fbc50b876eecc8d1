"""The Mann-Whitney interval of the difference between two samples, as Kayenta computes it.

Owns the arithmetic: normal approximation with continuity and tie corrections, solved for the shift at which
the standardised rank sum is at a quantile. The shift at zero is the Hodges-Lehmann estimate.

Source: spinnaker/kayenta, kayenta-mannwhitney/.../MannWhitney.scala (`wilcoxonDiff`,
`calculateConfidenceInterval`), after R's wilcox.test.
"""

from statistics import NormalDist

import numpy as np

from benchmarks.decisions.rollout import Floats

TOLERANCE = 1e-4  # KayentaBrentSolver's; here of a bisection, in units of the values


def interval(experiment: Floats, control: Floats, level: float) -> tuple[float, float, float]:
    """Lower end, upper end and estimate of experiment - control.

    Raises:
        ValueError: All values are equal.
    """
    low, high = float(experiment.min() - control.max()), float(experiment.max() - control.min())
    quantile = NormalDist().inv_cdf((1 - level) / 2)
    control = np.sort(control)
    lower, upper, estimate = (_root(experiment, control, z, low, high) for z in (-quantile, quantile, 0.0))
    return lower, upper, estimate


def _root(experiment: Floats, control: Floats, z: float, low: float, high: float) -> float:
    """The shift at which the standardised statistic is z: it falls as the shift grows, in steps.

    Where it jumps past z, as at 0 for two series of mostly zeros, Kayenta's solver ends on either side; here
    always on the lower, in Kayenta's favour: no metric is High by the solver's last digits.
    """
    if _standardised(experiment - low, control) <= z:
        return low
    if _standardised(experiment - high, control) >= z:
        return high
    least = min(TOLERANCE, 1e-4 * (high - low))
    while high - low > least and low < (low + high) / 2 < high:  # the middle of two neighbours is one of them
        middle = (low + high) / 2
        value = _standardised(experiment - middle, control)
        if value == z:
            return middle
        if value > z:
            low = middle
        else:
            high = middle
    return low


def _standardised(experiment: Floats, control: Floats) -> float:
    """(U - mean - correction) / sd, ties at half; `control` is sorted."""
    n, m = len(experiment), len(control)
    below = np.searchsorted(control, experiment, side="left")
    up_to = np.searchsorted(control, experiment, side="right")
    difference = float((below + up_to).sum()) / 2 - n * m / 2
    ties = np.unique(np.concatenate([experiment, control]), return_counts=True)[1].astype(np.float64)
    spread = n * m / 12 * (n + m + 1 - (ties**3 - ties).sum() / ((n + m) * (n + m - 1)))
    if spread <= 0:
        raise ValueError("all values are equal")
    return float((difference - 0.5 * np.sign(difference)) / np.sqrt(spread))
