import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.budget_history import BudgetHistory, RunCounts, thin_windows
from guard.core.burn_rate import ALERTS, DAY, HOUR, MINUTE, alerts_for
from guard.core.comparison import ArmCounts

NOON = 1_800_000_000.0 // DAY * DAY + 12 * HOUR
WINDOWS = sorted({s for alert in ALERTS for s in (alert.long_seconds, alert.short_seconds)})
FULL = (
    6 * 60 + 31 + 1 + 6 * 24 + 1
)  # minutes of six hours, of a half hour under way, half hours of three days


def history(*runs: tuple[float, int, int]) -> BudgetHistory:
    """Of runs that ended so many seconds before noon, with bad and all probes."""
    found = BudgetHistory()
    for ago, bad, total in runs:
        found.add(NOON - ago, ArmCounts(bad, total))
    return found


def test_a_window_sums_the_runs_that_ended_in_it():
    found = history((30, 1, 5), (10 * MINUTE, 2, 5), (2 * HOUR, 0, 5), (2 * DAY, 5, 5))
    found.forget(NOON)
    assert [found.counts(seconds, NOON) for seconds in WINDOWS] == [
        RunCounts(1, 5, 1, 1),
        RunCounts(3, 10, 2, 2),
        RunCounts(3, 10, 2, 2),
        RunCounts(3, 15, 3, 2),
        RunCounts(8, 20, 4, 3),
    ]


def test_a_run_that_asked_nothing_is_no_run():
    assert not history((0, 0, 0))


def test_a_run_leaves_its_window_within_a_minute_and_the_longest_within_half_an_hour():
    found = history((0, 1, 1))
    assert found.counts(5 * MINUTE, NOON + 5 * MINUTE - 1).runs == 1
    assert found.counts(5 * MINUTE, NOON + 6 * MINUTE).runs == 0
    found.forget(NOON + 3 * DAY - 31 * MINUTE)
    assert found.counts(3 * DAY, NOON + 3 * DAY - 31 * MINUTE).runs == 1
    found.forget(NOON + 3 * DAY + MINUTE)
    assert not found


def test_what_a_clock_that_was_ahead_has_left_is_not_counted_and_not_kept():
    found = history((-DAY, 1, 1), (0, 0, 1))
    assert found.counts(HOUR, NOON) == RunCounts(0, 1, 1)
    found.forget(NOON)
    assert found.counts(HOUR, NOON + DAY) == RunCounts(0, 0, 0)


def test_a_run_every_minute_for_days_keeps_buckets_of_three_days():
    found, last = BudgetHistory(), 4 * 24 * 60
    for minute in range(last + 1):
        now = NOON + minute * MINUTE
        found.add(now, ArmCounts(1, 3))
        if minute >= last - 31:
            found.forget(now)
            assert FULL - 60 < len(found) <= FULL
    seen = found.counts(3 * DAY, now)
    assert seen.runs == pytest.approx(3 * 24 * 60, abs=31)
    assert (seen.bad, seen.total, seen.bad_runs) == (seen.runs, 3 * seen.runs, seen.runs)


_RUNS = st.lists(st.tuples(st.integers(0, 80 * 3600), st.integers(0, 5), st.integers(5, 9)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(_RUNS)
def test_widening_buckets_changes_no_window_but_the_longest(runs):
    raw, kept = history(*runs), history(*runs)
    kept.forget(NOON)
    assert [raw.counts(s, NOON) for s in WINDOWS[:-1]] == [kept.counts(s, NOON) for s in WINDOWS[:-1]]
    assert kept.counts(3 * DAY, NOON).runs <= raw.counts(3 * DAY, NOON).runs


@settings(max_examples=30, deadline=None)
@given(_RUNS)
def test_a_history_survives_json(runs):
    found = history(*runs)
    again = BudgetHistory.from_state(json.loads(json.dumps(found.state())))
    assert again.state() == found.state()


@pytest.mark.parametrize(
    "row",
    [
        None,
        [1, 2, 3],
        [1, 2, 1, 1, 1],
        [1, -1, 1, 1, 0],
        [1, 0, 5, 0, 0],
        [1, 0, 5, 1, 1],
        [1.5, 0, 1, 1, 0],
        [1, True, 1, 1, 0],
    ],
)
def test_rows_that_are_none_are_refused(row):
    with pytest.raises(ValueError, match=r"expected|cannot be"):
        BudgetHistory.from_state([row])


def thin(runs: dict[float, int], *gaps: float, alerts=ALERTS) -> set[float]:
    return thin_windows({s: RunCounts(0, n, n) for s, n in runs.items()}, alerts, gaps)


def test_half_of_the_planned_runs_are_enough_and_fewer_are_not():
    half = {5 * MINUTE: 2, 30 * MINUTE: 15, HOUR: 30, 6 * HOUR: 180, 3 * DAY: 2160}
    assert not thin({**half, 5 * MINUTE: 3}, MINUTE)
    for window, runs in half.items():
        assert window in thin({**half, window: runs - 1}, MINUTE)


def test_planned_runs_of_all_suites_count():
    runs = {5 * MINUTE: 3, 30 * MINUTE: 15, HOUR: 30, 6 * HOUR: 180, 3 * DAY: 2160}
    assert thin(runs, MINUTE, MINUTE) == set(runs)


def test_one_run_says_nothing_of_a_long_window():
    daily = alerts_for(1.1 * DAY)
    assert thin({3 * DAY: 1, 1.1 * DAY: 1}, DAY, alerts=daily) == {3 * DAY}
    assert not thin({3 * DAY: 2, 1.1 * DAY: 1}, DAY, alerts=daily)


def test_a_window_that_nothing_is_known_of_is_thin():
    assert thin({}, MINUTE) == set(WINDOWS)
