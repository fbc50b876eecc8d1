import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.load.arrivals import schedule
from guard.load.plan import LoadPlan

plans = st.builds(
    LoadPlan,
    arrivals=st.sampled_from(["constant", "poisson"]),
    rate=st.floats(0.5, 50),
    duration_seconds=st.floats(2, 30),
    seed=st.integers(0, 2**40),
)


@given(plans)
def test_due_times_ascend_within_the_duration(plan: LoadPlan) -> None:
    due = schedule(plan)

    assert due == sorted(due)
    assert all(0 <= at < plan.duration_seconds for at in due)
    assert due


@given(plans)
def test_the_same_plan_has_the_same_schedule(plan: LoadPlan) -> None:
    assert schedule(plan) == schedule(LoadPlan.from_json(plan.to_json()))


def test_constant_arrivals_are_evenly_spaced_from_the_start() -> None:
    assert schedule(LoadPlan("constant", 2, rate=2)) == [0.0, 0.5, 1.0, 1.5]


def test_constant_arrivals_are_rate_times_duration_of_them_in_spite_of_binary_fractions() -> None:
    assert len(schedule(LoadPlan("constant", 10, rate=0.3))) == 3
    assert len(schedule(LoadPlan("constant", 3, rate=0.1 + 0.2 + 0.7))) == 3


def test_poisson_gaps_have_the_mean_and_spread_of_an_exponential() -> None:
    gaps = [b - a for a, b in pairwise(schedule(LoadPlan("poisson", 1000, rate=10)))]

    assert statistics.fmean(gaps) == pytest.approx(0.1, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(0.1, rel=0.05)


def test_poisson_counts_per_second_are_dispersed_as_poisson_counts_are() -> None:
    counts = [0] * 1000
    for at in schedule(LoadPlan("poisson", 1000, rate=10)):
        counts[int(at)] += 1

    # The index of dispersion times n - 1 is chi-squared with n - 1 degrees of freedom: 5 sd around 1.
    dispersion = statistics.variance(counts) / statistics.fmean(counts)
    assert dispersion == pytest.approx(1, abs=5 * (2 / 999) ** 0.5)


def test_another_seed_is_another_poisson_schedule() -> None:
    plan = LoadPlan("poisson", 30, rate=2, seed=1)

    assert schedule(plan) != schedule(LoadPlan("poisson", 30, rate=2, seed=2))


def test_a_closed_loop_has_no_schedule() -> None:
    with pytest.raises(ValueError, match="closed loop"):
        schedule(LoadPlan("closed", 1, concurrency=1))
