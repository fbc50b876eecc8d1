from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core.latency import gaps, meets, quantile, summarise
from guard.core.samples import Arm, Outcome, RequestSample, Source

# Due at 10 s, sent 0.1 s late, tokens at 10.5, 10.7 and 11.1 s, whole at 11.3 s.
WHOLE = RequestSample(
    "tidegate-1",
    Source.LOAD,
    Arm.CANARY,
    scheduled_at=10.0,
    sent_at=10.1,
    first_token_at=10.5,
    last_token_at=11.1,
    token_at=[10.5, 10.7, 11.1],
    itl_mean_seconds=0.3,
    finished_at=11.3,
    output_tokens=3,
    outcome=Outcome.OK,
    dispatch_lag_seconds=0.001,
)


def failed(outcome: Outcome | None, **changes: float | None) -> RequestSample:
    return replace(WHOLE, outcome=outcome, **changes)


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.99, 3.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([2.0, 1.0, 3.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
        ([float(n) for n in range(1, 101)], 0.07, 7.0),
        ([float(n) for n in range(1, 21)], 0.95, 19.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_quantile_is_the_smallest_value_that_covers_its_share(
    values: list[float], q: float, expected: float | None
) -> None:
    assert quantile(values, q) == expected


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.floats(0, 10))
def test_a_quantile_is_within_a_limit_exactly_when_few_enough_values_are_above_it(
    values: list[float], q: float, limit: float
) -> None:
    found = quantile(values, q)

    assert found is not None
    assert (found <= limit) == (sum(v > limit for v in values) <= (1 - q) * len(values) + 1e-9)


@pytest.mark.parametrize("q", [0.0, -0.1, 1.1])
def test_a_quantile_outside_its_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile([1.0], q)


def test_latency_counts_from_the_scheduled_time_and_rates_over_the_window() -> None:
    summary = summarise([WHOLE])

    assert summary.ttft is not None
    assert summary.ttft.p50 == pytest.approx(0.5)
    assert summary.e2e is not None
    assert summary.e2e.p99 == pytest.approx(1.3)
    assert summary.tpot is not None
    assert summary.tpot.p50 == pytest.approx((1.3 - 0.5) / 2)
    assert summary.seconds == pytest.approx(1.3)
    assert summary.output_tokens_per_second == pytest.approx(3 / 1.3)


def test_without_a_schedule_latency_counts_from_the_sending() -> None:
    summary = summarise([replace(WHOLE, scheduled_at=None)])

    assert summary.ttft is not None
    assert summary.ttft.p50 == pytest.approx(0.4)
    assert summary.seconds == pytest.approx(1.2)


def test_itl_is_every_gap() -> None:
    summary = summarise([WHOLE, WHOLE])

    assert gaps(WHOLE) == pytest.approx([0.2, 0.4])
    assert summary.itl is not None
    assert summary.itl.samples == 4
    assert summary.itl.p99 == pytest.approx(0.4)


def test_failed_requests_are_counted_by_kind_and_kept_out_of_latency() -> None:
    quick_error = failed(Outcome.ERROR, first_token_at=10.001, finished_at=10.002)
    samples = [WHOLE, quick_error, quick_error, failed(Outcome.REFUSED), failed(None, finished_at=None)]
    summary = summarise(samples)

    assert (summary.requests, summary.ok, summary.waiting) == (5, 1, 1)
    assert summary.failed == {"error": 2, "refused": 1}
    assert summary.ttft is not None
    assert (summary.ttft.samples, summary.ttft.p50) == (1, pytest.approx(0.5))


def test_nothing_measured_is_unknown_and_not_zero() -> None:
    summary = summarise([], {"ttft": 1.0})

    assert (summary.ttft, summary.itl, summary.tpot, summary.e2e) == (None, None, None, None)
    assert (summary.seconds, summary.requests_per_second, summary.goodput) == (None, None, None)


def test_goodput_counts_failed_requests_against_it() -> None:
    summary = summarise([WHOLE, failed(Outcome.TIMEOUT)], {"ttft": 1.0})

    assert summary.goodput is not None
    assert (summary.goodput.met, summary.goodput.total, summary.goodput.ratio) == (1, 2, 0.5)
    assert summary.goodput.requests_per_second == pytest.approx(1 / 1.3)


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({"ttft": 0.6}, True),
        ({"ttft": 0.4}, False),
        ({"ttft": 0.6, "itl": 0.2}, False),
        ({"itl": 0.31, "tpot": 0.41, "e2e": 1.31}, True),
        ({"e2e": 1.2}, False),
    ],
)
def test_a_request_is_good_when_it_meets_every_limit(limits: dict[str, float], met: bool) -> None:
    assert meets(WHOLE, limits) is met


def test_what_is_not_known_of_a_request_is_not_met() -> None:
    assert not meets(replace(WHOLE, output_tokens=None), {"tpot": 10.0})
    assert not meets(replace(WHOLE, first_token_at=None), {"ttft": 10.0})
