"""Claims about when scheduled suites are due; all times are literals in UTC."""

from datetime import UTC, datetime

import pytest

from guard.core.schedule import LATEST_SECONDS, Due, Line, check_cron, due, latest_due, longest_gap_seconds


def at(clock: str, day: int = 2) -> float:
    """A time of January 2030; the 2nd is a Wednesday."""
    return datetime.fromisoformat(f"2030-01-{day:02}T{clock}").replace(tzinfo=UTC).timestamp()


QUARTERS = Line("chat/0", "chat-stable", "*/15 * * * *")


@pytest.mark.parametrize(
    ("after", "now", "expected"),
    [
        pytest.param("10:00:00", "10:14:59", None, id="nothing is due before its minute"),
        pytest.param("10:00:00", "10:15:00", "10:15:00", id="it is due in its very second"),
        pytest.param("10:15:00", "10:15:30", None, id="what has run is not due again"),
        pytest.param("10:00:00", "10:50:00", "10:45:00", id="of three missed times only the last is due"),
    ],
)
def test_a_line_is_due_at_its_last_time_that_has_not_run(after: str, now: str, expected: str | None) -> None:
    assert latest_due(QUARTERS.cron, at(after), at(now)) == (at(expected) if expected else None)


def test_a_missed_run_is_made_up_for_within_the_hour_and_not_later() -> None:
    nightly = Line("chat/1", "chat-stable", "0 3 * * *")
    since = {nightly.key: at("03:00:00", day=1)}
    due_at = at("03:00:00")
    assert due([nightly], since, (), due_at + LATEST_SECONDS - 1) == [Due(nightly, due_at)]
    assert due([nightly], since, (), due_at + LATEST_SECONDS + 1) == []


def test_two_lines_of_one_target_never_start_together() -> None:
    hourly = Line("chat/1", "chat-stable", "0 * * * *")
    other = Line("code/0", "code-stable", "0 * * * *")
    lines = [QUARTERS, hourly, other]
    since = dict.fromkeys((line.key for line in lines), at("09:59:00"))
    now = at("10:00:05")
    assert [found.line for found in due(lines, since, (), now)] == [QUARTERS, other]
    since[QUARTERS.key] = now
    assert [found.line for found in due(lines, since, (), now)] == [hourly, other]


def test_a_line_that_is_always_due_starves_no_other_of_its_target() -> None:
    every_minute = Line("chat/0", "chat-stable", "* * * * *")
    nightly = Line("chat/1", "chat-stable", "0 3 * * *")
    since = {every_minute.key: at("02:58:00"), nightly.key: at("03:00:00", day=1)}
    started = []
    for clock in ("02:59:10", "03:00:20", "03:01:30", "03:02:40"):
        for found in due([every_minute, nightly], since, (), at(clock)):
            since[found.line.key] = found.at
            started.append(found.line)
    assert started == [every_minute, nightly, every_minute, every_minute]


def test_a_busy_target_is_left_alone() -> None:
    since = {QUARTERS.key: at("10:00:00")}
    assert due([QUARTERS], since, {"chat-stable"}, at("10:20:00")) == []


def test_a_line_that_nobody_has_watched_yet_is_not_due() -> None:
    assert due([QUARTERS], {}, (), at("10:20:00")) == []


@pytest.mark.parametrize(
    ("cron", "hours"),
    [("*/15 * * * *", 0.25), ("0 3 * * *", 24), ("0 9 * * 1-5", 72)],
    ids=["every quarter of an hour", "every night", "on working days: the weekend"],
)
def test_the_longest_gap_is_what_makes_a_result_late(cron: str, hours: float) -> None:
    assert longest_gap_seconds(cron, at("12:00:00")) == hours * 3600


@pytest.mark.parametrize("cron", ["", "@hourly", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *"])
def test_a_cron_that_cannot_be_followed_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(ValueError, match=r"five fields in UTC such as '\*/15"):
        check_cron(cron)
