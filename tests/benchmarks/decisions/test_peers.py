"""The peers' rules on rollouts by hand, against what their sources do."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.decisions import argo, flagger, kayenta
from benchmarks.decisions.decision import Decision
from benchmarks.decisions.mann_whitney import interval
from benchmarks.decisions.prometheus import Arm, histogram_quantile
from benchmarks.decisions.rollout import Rollout
from tests.benchmarks.decisions.made import every, rollout

BASELINE = every(1.0, -600.0, 1800.0)
GOOD = every(2.0, 0.0, 1800.0)


def test_kayentas_own_example_gives_kayentas_own_figures() -> None:
    """MannWhitneySuite.scala, "returns expected values"; its solver stops within 1e-4."""
    experiment, control = np.array([10.0, 20.0, 30.0, 40.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert interval(experiment, control, 0.95) == pytest.approx((6.0, 39.0, 22.5), abs=2e-4)


def test_values_that_differ_in_their_last_digit_alone_have_an_interval() -> None:
    experiment, control = np.array([0.3, 0.3, np.nextafter(0.3, 1)]), np.array([0.3, 0.3, 0.3])
    lower, upper, _ = interval(experiment, control, 0.98)
    assert -1e-12 < lower <= upper < 1e-12


def test_an_interval_of_equal_values_is_refused() -> None:
    with pytest.raises(ValueError, match="equal"):
        interval(np.ones(4), np.ones(4), 0.98)


@pytest.mark.parametrize(
    ("experiment", "control", "label"),
    [
        ([], [1.0, 2.0], "Nodata"),
        ([np.nan], [1.0, 2.0], "Nodata"),
        ([1.0, 1.0], [1.0, 1.0, 1.0], "Pass"),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], "Pass"),
        (np.arange(20.0, 40.0), np.arange(20.0), "High"),
        (np.arange(20.0), np.arange(20.0, 40.0), "Pass"),
        ([0.0] * 59 + [0.1], [0.0] * 55 + [0.1] * 5, "Pass"),
    ],
    ids=["none", "only nan", "all equal", "identical", "higher", "lower is no harm", "sparse errors"],
)
def test_kayenta_labels(experiment: list[float], control: list[float], label: str) -> None:
    assert kayenta.classify(np.asarray(experiment, np.float64), np.asarray(control, np.float64)) == label


@pytest.mark.parametrize(
    ("labels", "score"),
    [
        (["Pass", "Pass", "Pass"], 100),
        (["Pass", "High", "Pass"], 200 / 3),
        (["Nodata", "Pass", "Pass"], 100),
        (["Nodata", "Nodata", "Pass"], 0),
    ],
    ids=["all pass", "one is high", "a group without data scores 100", "half without data"],
)
def test_kayenta_scores(labels: list[str], score: float) -> None:
    assert kayenta.score(labels) == pytest.approx(score)


def test_histogram_quantile_is_linear_in_its_bucket() -> None:
    edges = np.array([1.0, 2.0, 4.0])
    assert histogram_quantile(0.5, np.array([1.5, 1.6, 3.0, 3.1]), edges) == pytest.approx(2.0)
    assert histogram_quantile(0.75, np.array([1.5, 1.6, 3.0, 3.1]), edges) == pytest.approx(3.0)
    assert histogram_quantile(0.99, np.array([9.0]), edges) == 4.0
    assert np.isnan(histogram_quantile(0.5, np.zeros(0), edges))


def test_windows_are_open_at_their_start_and_closed_at_their_end() -> None:
    arm = Arm(rollout([(0.0, 1.0, 10.0, True), (0.0, 1.0, 20.0, False)]), canary=True)
    found = arm.error_ratio(np.array([10.0, 20.0, 21.0, 40.0]), 10.0)
    assert found[:3].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(found[3])


ALL: list[Callable[[Rollout], Decision]] = [
    lambda r: flagger.judge(r, flagger.Flagger()),
    lambda r: argo.judge(r, argo.BACKGROUND),
    lambda r: argo.judge(r, argo.STEPS),
    lambda r: kayenta.judge(r, kayenta.Kayenta()),
]


@pytest.mark.parametrize("rule", ALL)
def test_a_good_canary_is_promoted_by_all(rule: Callable[[Rollout], Decision]) -> None:
    assert rule(rollout(GOOD, BASELINE)).action == "PROMOTE"


@pytest.mark.parametrize(
    ("rule", "at"),
    list(zip(ALL, (660.0, 1200.0, 300.0, 600.0), strict=True)),
)
def test_a_dead_canary_is_rolled_back_when_the_sources_say(
    rule: Callable[[Rollout], Decision], at: float
) -> None:
    dead = [(sent, None, sent + 0.1, True) for sent in np.arange(0.0, 1800.0, 2.0).tolist()]
    decision = rule(rollout(dead, BASELINE))
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", at, "errors")


@pytest.mark.parametrize(("rule", "at"), list(zip(ALL, (660.0, 1200.0, 540.0, 600.0), strict=True)))
def test_silence_is_a_rollback_to_all_of_them(rule: Callable[[Rollout], Decision], at: float) -> None:
    decision = rule(rollout([], BASELINE))
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", at, "no values")


def test_flagger_counts_failed_checks_for_good_and_rolls_back_a_turn_after_the_last() -> None:
    bad = [60.0 * 2 * k + 30 for k in range(10)]  # one error in every second minute
    decision = flagger.judge(rollout(every(2.0, 0.0, 1800.0, bad=bad), BASELINE), flagger.Flagger())
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", 1200.0, "errors")
    spared = flagger.judge(rollout(every(2.0, 0.0, 1800.0, bad=bad[:9]), BASELINE), flagger.Flagger())
    assert spared.action == "PROMOTE"


def test_flagger_rolls_back_a_canary_above_its_limit_of_latency() -> None:
    decision = flagger.judge(rollout(every(2.0, 0.0, 1800.0, ttft=1.2), BASELINE), flagger.Flagger())
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", 660.0, "ttft")


def test_argo_allows_as_many_failed_measurements_as_the_limit_says() -> None:
    bad = [at - 10.0 for at in (300.0, 600.0, 900.0, 1200.0)]
    decision = argo.judge(rollout(every(2.0, 0.0, 1800.0, bad=bad), BASELINE), argo.BACKGROUND)
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", 1200.0, "errors")
    spared = argo.judge(rollout(every(2.0, 0.0, 1800.0, bad=bad[:3]), BASELINE), argo.BACKGROUND)
    assert spared.action == "PROMOTE"


def test_kayenta_rolls_back_a_slower_canary_at_its_first_run() -> None:
    decision = kayenta.judge(rollout(every(2.0, 0.0, 1800.0, ttft=0.6), BASELINE), kayenta.Kayenta())
    assert (decision.action, decision.at_seconds, decision.signal) == ("ROLLBACK", 600.0, "ttft")
