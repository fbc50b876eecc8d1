import math
from collections import Counter

import numpy as np
import pytest

from guard.core.comparison import compare_latency
from guard.core.latency import summarise
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import NotJudged, Verdict


def _wander(rng, at, sd, seconds):
    x = np.empty(len(at))
    x[0] = rng.normal(0, sd)
    for i in range(1, len(at)):
        keep = math.exp(-(at[i] - at[i - 1]) / seconds)
        x[i] = keep * x[i - 1] + rng.normal(0, sd * math.sqrt(1 - keep**2))
    return x


def _arm(arm, at, values, paired):
    return [
        RequestSample(
            f"{arm}-{i}",
            Source.LOAD,
            arm,
            pair_id=str(i) if paired else None,
            scheduled_at=t,
            sent_at=t,
            first_token_at=t + x,
            itl_mean_seconds=x / 10,
            finished_at=t + 2 * x,
            outcome=Outcome.OK,
        )
        for i, (t, x) in enumerate(zip(at, values, strict=True))
    ]


def _run(rng, *, rate=1.0, seconds=30.0, sd=0.08, slower=1.0, paired=True, signal="ttft", own=0.3):
    """One replica each: slow noise of the replica, bursts shared by the arms, the requests' own spread."""
    at = np.sort(rng.uniform(0, seconds, int(rate * seconds)))
    burst = _wander(rng, at, 0.3, 5.0)
    noise = [_wander(rng, at, sd, 120.0) + rng.normal(0, own, len(at)) for _ in Arm]
    canary, baseline = (0.2 * np.exp(burst + n) for n in noise)
    return compare_latency(
        _arm(Arm.CANARY, at, canary * slower, paired),
        _arm(Arm.BASELINE, at, baseline, paired),
        signal=signal,
        min_requests=20,
    )


@pytest.mark.parametrize("runs", [50, pytest.param(400, marks=pytest.mark.rates)])
@pytest.mark.parametrize("signal", ["ttft", "itl"])
@pytest.mark.parametrize("paired", [True, False])
def test_a_canary_as_good_as_the_baseline_hardly_ever_fails_under_correlated_noise(signal, paired, runs):
    rng = np.random.default_rng(11)
    found = Counter(_run(rng, sd=0.1, signal=signal, paired=paired).verdict for _ in range(runs))
    assert found[Verdict.FAIL] <= 0.01 * runs
    assert found[Verdict.PASS] >= 0.88 * runs


@pytest.mark.parametrize("signal", ["ttft", "itl"])
def test_twice_the_latency_fails_with_its_effect_and_interval(signal):
    check = _run(np.random.default_rng(3), rate=2, seconds=60, own=0.1, slower=2.0, signal=signal)
    assert check.verdict is Verdict.FAIL
    low, high = check.detail["interval_95"]
    assert low < 2.0 < high
    assert f"x{check.detail['effect_ratio']:.2f} (95 % {low:.2f}-{high:.2f})" in check.reason
    assert check.value > check.limit


def test_itl_a_third_slower_is_a_hold_because_the_machine_may_be_slower():
    check = _run(np.random.default_rng(5), rate=4, seconds=120, sd=0.0, own=0.05, slower=1.4, signal="itl")
    assert check.verdict is Verdict.INCONCLUSIVE


def test_requests_that_never_got_a_first_token_count_as_slow():
    at = [float(i) for i in range(40)]
    baseline = _arm(Arm.BASELINE, at, [0.2] * 40, True)
    canary = _arm(Arm.CANARY, at, [0.2] * 40, True)
    for sample in canary[::2]:
        sample.first_token_at, sample.outcome = None, Outcome.TIMEOUT
    check = compare_latency(canary, baseline, signal="ttft", min_requests=20)
    assert check.verdict is Verdict.FAIL


def _steady(canary, baseline, signal="ttft"):
    at = [float(i) for i in range(40)]
    arms = [
        _arm(arm, at, values * (40 // len(values)), True)
        for arm, values in ((Arm.CANARY, canary), (Arm.BASELINE, baseline))
    ]
    return compare_latency(*arms, signal=signal, min_requests=20), arms


def test_medians_are_as_measured_though_the_effect_rests_on_capped_values():
    check, _ = _steady([0.507], [0.00758])
    assert (check.value, check.baseline_value) == (pytest.approx(0.507), pytest.approx(0.00758))
    assert "TTFT at least x6.00" in check.reason
    assert "p50 0.507 s against 0.00758 s" in check.reason
    assert check.detail["capped"] == 40


def test_a_median_that_was_never_reached_is_unknown_and_not_the_cap():
    at = [float(i) for i in range(40)]
    canary, baseline = (_arm(arm, at, [0.2] * 40, True) for arm in (Arm.CANARY, Arm.BASELINE))
    for sample in canary[:30]:
        sample.first_token_at, sample.outcome = None, Outcome.TIMEOUT
    check = compare_latency(canary, baseline, signal="ttft", min_requests=20)
    assert (check.verdict, check.value) == (Verdict.FAIL, None)
    assert "at least" in check.reason
    assert "p50 never reached against 0.2 s" in check.reason


def test_a_median_is_the_same_as_in_the_summary_of_the_load():
    check, (canary, baseline) = _steady([0.2, 0.4], [0.2, 0.3])
    assert check.value == summarise(canary).ttft.p50
    assert check.baseline_value == summarise(baseline).ttft.p50


def test_the_limit_is_the_ratio_that_the_reason_of_a_fail_names():
    check, _ = _steady([0.6], [0.2])
    assert check.limit == pytest.approx(1.25 * 0.2)
    assert "slower by x1.25 or more" in check.reason


def test_a_median_over_the_limit_that_noise_may_explain_is_a_pass_marked_as_undecided():
    check, _ = _steady([0.1, 0.2, 0.2, 0.2, 0.26, 0.27, 0.27, 0.27], [0.2])
    assert not check.undecided
    spread, _ = _steady([0.1, 0.1, 0.1, 0.26, 0.26, 0.26, 0.26, 0.26], [0.2])
    assert (spread.verdict, spread.undecided) == (Verdict.PASS, True)
    assert spread.reason.startswith("not decided yet: TTFT x")


def test_a_much_faster_canary_passes_with_what_that_may_hide():
    check, _ = _steady([0.05], [0.2])
    assert check.verdict is Verdict.PASS
    assert "faster; where the baseline served other requests meanwhile, this hides a slowdown" in check.reason
    assert "no harm found" not in check.reason


def test_identical_values_pass_with_effect_one():
    at = [float(i) for i in range(40)]
    arms = [_arm(arm, at, [0.2] * 40, True) for arm in (Arm.CANARY, Arm.BASELINE)]
    check = compare_latency(*arms, signal="ttft", min_requests=20)
    assert check.verdict is Verdict.PASS
    assert check.detail["effect_ratio"] == pytest.approx(1.0)


def test_none_few_and_uncompared_requests_never_pass():
    at = [float(i) for i in range(8)]
    canary, baseline = (_arm(arm, at, [0.2] * 8, True) for arm in (Arm.CANARY, Arm.BASELINE))
    assert compare_latency([], baseline, signal="ttft", min_requests=5).verdict is Verdict.NO_DATA
    assert compare_latency(canary, [], signal="ttft", min_requests=5).verdict is Verdict.NO_DATA
    assert compare_latency(canary, baseline, signal="ttft", min_requests=20).verdict is Verdict.INCONCLUSIVE
    assert compare_latency(canary, None, signal="ttft", min_requests=5).verdict is NotJudged.NOT_COMPARED
