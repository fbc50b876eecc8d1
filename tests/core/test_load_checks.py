from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core.load_checks import judge_answers, judge_client
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict

WHOLE = RequestSample(
    "tidegate-1", Source.LOAD, Arm.CANARY, status=200, outcome=Outcome.OK, dispatch_lag_seconds=0.001
)
BAD = replace(WHOLE, status=500, outcome=Outcome.ERROR)
REFUSED = replace(WHOLE, status=None, outcome=Outcome.REFUSED)
WAITING = replace(WHOLE, status=None, outcome=None)


@pytest.mark.parametrize(
    ("canary", "baseline", "verdict"),
    [
        ([WHOLE] * 20, [WHOLE] * 20, Verdict.PASS),
        ([WHOLE] * 20, None, Verdict.PASS),
        ([WHOLE] * 19, None, Verdict.INCONCLUSIVE),
        ([], [WHOLE] * 20, Verdict.NO_DATA),
        ([WAITING] * 20, [WHOLE] * 20, Verdict.NO_DATA),
        ([BAD] * 4, [WHOLE] * 4, Verdict.NO_DATA),
        ([WHOLE] * 20 + [BAD] * 19, [WHOLE] * 39, Verdict.PASS),
        ([WHOLE] * 20 + [BAD] * 20, [WHOLE] * 40, Verdict.FAIL),
        ([WHOLE] * 20 + [BAD] * 20, [WHOLE] * 36 + [BAD] * 4, Verdict.FAIL),
        ([WHOLE] * 20 + [BAD] * 20, [WHOLE] * 20 + [BAD] * 20, Verdict.INCONCLUSIVE),
        ([BAD] * 20, None, Verdict.FAIL),
        ([REFUSED] * 20, [WHOLE] * 20, Verdict.FAIL),
        ([REFUSED] * 20, [REFUSED] * 20, Verdict.ERROR),
        ([REFUSED] * 20, None, Verdict.ERROR),
    ],
    ids=[
        "all well",
        "all well without a baseline",
        "too few",
        "nothing was sent",
        "everything still waits",
        "a few bad and no good",
        "just less than half are bad: for the comparison",
        "half are bad",
        "half are bad and a tenth of the baseline",
        "both are bad",
        "all are errors without a baseline",
        "dead beside a live baseline",
        "both are dead",
        "dead without a baseline",
    ],
)
def test_the_answers_are_judged(
    canary: list[RequestSample], baseline: list[RequestSample] | None, verdict: Verdict
) -> None:
    assert judge_answers(canary, baseline, min_requests=20).verdict is verdict


def test_the_answers_are_counted_by_kind() -> None:
    check = judge_answers([WHOLE] * 10 + [BAD] * 2 + [REFUSED], [WHOLE] * 13, min_requests=5)

    assert "10 of 13 requests ended well (2 error, 1 refused)" in check.reason
    assert (check.samples, check.value, check.baseline_value) == (13, 3 / 13, 0.0)


@given(st.lists(st.sampled_from([0.001, 0.5]), min_size=1, max_size=400))
def test_a_client_that_is_late_for_more_than_one_in_a_hundred_is_an_error(lags: list[float]) -> None:
    late = lags.count(0.5)
    check = judge_client([replace(WHOLE, dispatch_lag_seconds=lag) for lag in lags])

    assert (check.verdict is Verdict.ERROR) == (late > 2 and late > 0.01 * len(lags))


def test_a_saturated_client_says_so_with_its_lag_and_the_limit() -> None:
    check = judge_client([replace(WHOLE, dispatch_lag_seconds=0.25)] * 30)

    assert check.verdict is Verdict.ERROR
    assert "client saturated: dispatch lag p99 250.0 ms, 30 of 30 requests later than 100 ms" in check.reason
    assert (check.value, check.limit, check.unit, check.samples) == (0.25, 0.1, "seconds", 30)


def test_one_hiccup_does_not_void_a_short_run() -> None:
    samples = [WHOLE] * 28 + [replace(WHOLE, dispatch_lag_seconds=0.3)] * 2

    assert judge_client(samples).verdict is Verdict.PASS


def test_a_closed_loop_has_no_schedule_to_be_late_for() -> None:
    check = judge_client([replace(WHOLE, dispatch_lag_seconds=None)])

    assert (check.verdict, check.value) == (Verdict.PASS, None)
