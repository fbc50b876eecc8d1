import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.burn_rate import (
    ALERTS,
    DAY,
    HOUR,
    MINUTE,
    PERIOD_SECONDS,
    alerts_for,
    burn_rate,
    in_words,
    judge_budget,
)
from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.verdict import Verdict

WINDOWS = (5 * MINUTE, HOUR, 30 * MINUTE, 6 * HOUR, 3 * DAY)
QUIET = {seconds: ArmCounts(0, 1000) for seconds in WINDOWS}


@pytest.mark.parametrize(
    ("bad", "total", "objective", "rate"),
    [
        (144, 10000, 0.999, 14.4),
        (1, 1000, 0.999, 1.0),
        (0, 10, 0.99, 0.0),
        (10, 10, 0.9, 10.0),
        (12, 10, 0.9, 10.0),
        (-1, 10, 0.9, 0.0),
        (0, 0, 0.9, None),
    ],
)
def test_burn_rates_of_known_counts(bad, total, objective, rate):
    found = burn_rate(ArmCounts(bad, total), objective)
    assert found == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize("objective", [0.0, 1.0, 99.9, -1.0, float("nan")])
def test_an_objective_that_is_no_ratio_is_refused_by_name(objective):
    with pytest.raises(ValueError, match="objective_ratio"):
        burn_rate(ArmCounts(0, 1), objective)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_table_agrees_with_itself(alert):
    assert alert.burn_rate * alert.long_seconds / PERIOD_SECONDS == pytest.approx(alert.budget_ratio)
    assert alert.short_seconds * 12 == alert.long_seconds


@pytest.mark.parametrize(
    ("counts", "verdict", "severity"),
    [
        pytest.param({}, Verdict.PASS, None, id="no error"),
        pytest.param(
            {HOUR: ArmCounts(15, 1000), 5 * MINUTE: ArmCounts(15, 1000)},
            Verdict.FAIL,
            "page",
            id="an hour fast",
        ),
        pytest.param({HOUR: ArmCounts(15, 1000)}, Verdict.PASS, None, id="it has stopped"),
        pytest.param({5 * MINUTE: ArmCounts(15, 1000)}, Verdict.PASS, None, id="it has just begun"),
        pytest.param(
            {HOUR: ArmCounts(14, 1000), 5 * MINUTE: ArmCounts(14, 1000)}, Verdict.PASS, None, id="under 14.4"
        ),
        pytest.param(
            {6 * HOUR: ArmCounts(7, 1000), 30 * MINUTE: ArmCounts(7, 1000)},
            Verdict.FAIL,
            "page",
            id="six hours",
        ),
        pytest.param(
            {3 * DAY: ArmCounts(2, 1000), 6 * HOUR: ArmCounts(2, 1000)},
            Verdict.FAIL,
            "ticket",
            id="three days",
        ),
    ],
)
def test_an_alert_fires_when_both_of_its_windows_are_too_fast(counts, verdict, severity):
    check = judge_budget({**QUIET, **counts}, 0.999)
    assert check.verdict is verdict
    if severity:
        assert (check.detail["severity"], check.value > check.limit) == (severity, True)


def test_the_most_urgent_alert_is_the_one_that_is_said():
    check = judge_budget(dict.fromkeys(WINDOWS, ArmCounts(500, 1000)), 0.999)
    assert (check.limit, check.samples, check.window_seconds) == (14.4, 1000, HOUR)
    assert check.reason == (
        "500 of 1000 bad in 1 h: the budget of 99.9 % is spent at 500 times its speed, "
        "500 in the last 5 min; page at 14.4"
    )


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_in_which_nothing_was_seen_is_no_data(window):
    missing = {seconds: counts for seconds, counts in QUIET.items() if seconds != window}
    for counts in (missing, {**QUIET, window: ArmCounts(0, 0)}):
        check = judge_budget(counts, 0.999)
        assert check.verdict is Verdict.NO_DATA
        assert "no requests seen in the last" in check.reason


@pytest.mark.parametrize("window", WINDOWS)
def test_a_thin_window_is_no_data_whatever_it_saw(window):
    bad = dict.fromkeys(WINDOWS, ArmCounts(500, 1000))
    check = judge_budget({**QUIET, window: bad[window]}, 0.999, thin={window})
    assert check.verdict is Verdict.NO_DATA
    alone = judge_budget(bad, 0.999, ALERTS[:1], thin={window})
    of_first = window in (ALERTS[0].long_seconds, ALERTS[0].short_seconds)
    assert alone.verdict is (Verdict.NO_DATA if of_first else Verdict.FAIL)


def test_what_one_run_alone_has_lost_is_undecided():
    bad = dict.fromkeys(WINDOWS, ArmCounts(500, 1000))
    assert judge_budget(bad, 0.999, lone=set(WINDOWS)).undecided
    assert judge_budget(bad, 0.999, lone={5 * MINUTE}).limit == 14.4
    assert judge_budget(bad, 0.999, lone={HOUR}).limit == 6.0


def test_a_person_is_shown_every_window_with_its_rate_and_which_alert_fires():
    hour = {HOUR: ArmCounts(20, 1000), 5 * MINUTE: ArmCounts(25, 1000)}
    check = judge_budget({**QUIET, **hour}, 0.999, thin={3 * DAY})
    assert in_words(check) == (
        "20 in 1 h, 25 in 5 min (page FIRES, above 14.4); 0 in 6 h, 0 in 30 min (page above 6); "
        "no data in 3 d, 0 in 6 h (ticket above 1)"
    )
    assert in_words(judge_budget({}, 0.999, ())) == "the schedule is too sparse for every window"


def test_nothing_seen_at_all_is_no_data_and_a_fire_beside_silence_is_a_fire():
    assert judge_budget({}, 0.999).verdict is Verdict.NO_DATA
    fast = {HOUR: ArmCounts(9, 9), 5 * MINUTE: ArmCounts(9, 9)}
    assert judge_budget(fast, 0.999).verdict is Verdict.FAIL


def test_one_bad_probe_is_undecided_and_two_are_an_alert():
    def judged(bad):
        counts = {**QUIET, HOUR: ArmCounts(bad, 12), 5 * MINUTE: ArmCounts(1, 1)}
        return judge_budget(counts, 0.999)

    assert judged(1).undecided
    assert judged(2).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("gap", "names"),
    [
        (60.0, ["1 h/5 min", "6 h/30 min", "3 d/6 h"]),
        (900.0, ["1 h/15 min", "6 h/30 min", "3 d/6 h"]),
        (3600.0, ["6 h/1 h", "3 d/6 h"]),
        (86400.0, ["3 d/1 d"]),
        (7 * 86400.0, []),
    ],
)
def test_a_sparse_schedule_widens_short_windows_and_loses_those_it_cannot_fill(gap, names):
    assert [alert.name for alert in alerts_for(gap)] == names


def test_a_schedule_too_sparse_for_every_window_is_no_data():
    assert judge_budget(QUIET, 0.999, alerts_for(7 * DAY)).verdict is Verdict.NO_DATA


_COUNTS = st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[_COUNTS] * len(WINDOWS)), st.sampled_from(WINDOWS))
def test_another_error_never_ends_an_alert(rows, window):
    counts = {seconds: ArmCounts(*row) for seconds, row in zip(WINDOWS, rows, strict=True)}
    seen = counts[window]
    worse = {**counts, window: ArmCounts(min(seen.bad + 1, seen.total), seen.total)}
    if judge_budget(counts, 0.99).verdict is Verdict.FAIL:
        assert judge_budget(worse, 0.99).verdict is Verdict.FAIL


def test_a_check_survives_json():
    check = judge_budget({**QUIET, HOUR: ArmCounts(0, 0)}, 0.999)
    assert Check.from_json(json.loads(json.dumps(check.to_json(), allow_nan=False))) == check
