from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core.comparison import ArmCounts
from guard.core.objectives import (
    ErrorObjective,
    LatencyObjective,
    judge_objective,
    judge_ratio,
)
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict

TTFT = LatencyObjective("ttft", 0.95, 0.75)
ITL = LatencyObjective("itl", 0.99, 0.05)


def _sample(ttft=0.2, outcome=Outcome.OK, itl=0.01, status=None):
    first = None if ttft is None else ttft
    return RequestSample(
        "r",
        Source.PROBE,
        Arm.CANARY,
        scheduled_at=0.0,
        first_token_at=first,
        itl_mean_seconds=itl,
        finished_at=1.0,
        outcome=outcome,
        status=status,
    )


def _judge(objective, canary, baseline=None, **options):
    return judge_objective(objective, canary=canary, baseline=baseline, **{"min_requests": 20, **options})


def test_names_are_the_signals_with_their_quantile():
    assert (TTFT.name, ITL.name, ErrorObjective(0.01).name) == ("ttft-p95", "itl-p99", "errors")
    assert LatencyObjective("e2e", 0.999, 1.0).name == "e2e-p99.9"
    assert _judge(TTFT, [_sample()] * 30).name == "objective-ttft-p95"


# Of 40 requests p95 allows 2 over on average; 9 is the first count whose exact p is <= .001.
@pytest.mark.parametrize(("slow", "verdict"), [(0, Verdict.PASS), (7, Verdict.PASS), (9, Verdict.FAIL)])
def test_quantile_is_breached_only_beyond_chance(slow, verdict):
    samples = [_sample(2.0)] * slow + [_sample(0.2)] * (40 - slow)
    assert _judge(TTFT, samples).verdict is verdict


def test_more_slow_requests_than_allowed_that_chance_may_explain_are_a_pass_marked_as_undecided():
    few, none = (_judge(TTFT, [_sample(2.0)] * slow + [_sample(0.2)] * (40 - slow)) for slow in (3, 0))
    assert (few.undecided, none.undecided) == (True, False)
    assert few.reason == (
        "not decided yet: TTFT p95 2 s; 3 of 40 canary requests (7.5%) over 0.75 s, 5% allowed (p = 0.32): "
        "more than allowed, which chance may explain"
    )


def test_check_states_the_observed_quantile_against_the_limit_in_seconds():
    check = _judge(TTFT, [_sample(0.2)] * 30 + [_sample(2.0)] * 10)
    assert (check.value, check.limit, check.unit, check.samples) == (2.0, 0.75, "seconds", 40)
    assert check.detail["over_ratio"] == 0.25


def test_check_covers_the_time_from_the_first_start_to_the_last_end():
    check = _judge(TTFT, [replace(_sample(), scheduled_at=at, finished_at=at + 2) for at in (5.0, 9.0)])
    assert check.window_seconds == 6.0
    assert _judge(TTFT, []).window_seconds is None


def test_objective_that_the_baseline_breaches_too_is_the_platforms_trouble():
    slow = [_sample(2.0)] * 40
    check = _judge(TTFT, slow, slow)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "platform" in check.reason
    assert _judge(TTFT, slow, [_sample(0.2)] * 40).verdict is Verdict.FAIL


def test_few_requests_are_inconclusive_and_none_are_no_data():
    assert _judge(TTFT, [_sample(2.0)] * 19).verdict is Verdict.INCONCLUSIVE
    assert _judge(TTFT, []).verdict is Verdict.NO_DATA


def test_failed_requests_count_as_slow_so_that_failing_does_not_help():
    dead = [_sample(None, Outcome.TIMEOUT, None)] * 20 + [_sample(0.2)] * 20
    check = _judge(TTFT, dead)
    assert check.verdict is Verdict.FAIL
    assert check.value is None  # the p95 falls among requests that never answered
    assert _judge(ITL, dead).verdict is Verdict.FAIL


def test_refused_prompts_say_nothing_about_latency_and_count_as_errors():
    refused = [_sample(None, Outcome.ERROR, None, 400)] * 20 + [_sample(0.2)] * 20
    assert _judge(TTFT, refused).samples == 20
    assert _judge(ErrorObjective(0.01), refused).verdict is Verdict.FAIL


def test_request_that_waits_longer_than_the_limit_already_counts():
    waiting = [_sample(None, None, None)] * 25
    assert _judge(TTFT, waiting, now=0.5).verdict is Verdict.NO_DATA
    assert _judge(TTFT, waiting, now=0.8).verdict is Verdict.FAIL


def test_error_ratio_from_counters_agrees_with_samples():
    samples = [_sample(outcome=Outcome.ERROR)] * 6 + [_sample()] * 94
    by_samples = _judge(ErrorObjective(0.01), samples)
    by_counters = judge_ratio(ErrorObjective(0.01), ArmCounts(6, 100), None, min_requests=20)
    assert replace(by_samples, window_seconds=None) == by_counters  # counters alone know no time
    assert by_counters.verdict is Verdict.FAIL


@given(st.integers(1, 300), st.data())
def test_one_more_request_over_the_limit_never_improves_the_verdict(total, data):
    over = data.draw(st.integers(0, total - 1))
    order = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    before, after = (judge_ratio(TTFT, ArmCounts(n, total), None, min_requests=20) for n in (over, over + 1))
    assert order.index(after.verdict) >= order.index(before.verdict)
