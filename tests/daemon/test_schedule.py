"""Claims about a Guard's schedule in the daemon; time is turned by hand, and runs are the test's own."""

from dataclasses import dataclass, field

import pytest

from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.suite_outcome import SuiteOutcome
from guard.core.verdict import Verdict
from guard.daemon.schedule import Ended, Job, Last, Schedule
from tests.daemon.harness import GUARD

MIDNIGHT = 1_800_057_600.0  # 2027-01-16T00:00:00Z
MINUTE = 60.0
QUARTERS, HOURLY = "*/15 * * * *", "0 * * * *"


@dataclass
class ScriptedRun:
    """Runs until the test ends it."""

    job: Job
    done: bool = False
    stopped: str | None = None
    results: list[Ended] = field(default_factory=list)

    def take(self) -> list[Ended]:
        taken, self.results = self.results, []
        return taken

    def stop(self, why: str) -> None:
        self.stopped = why

    def end(self, verdict: Verdict = Verdict.PASS) -> None:
        outcome = SuiteOutcome(self.job.scheduled.suites[0].name, verdict)
        self.results.append(Ended(self.job.guard, outcome, self.job.at, "run"))
        self.done = True


class Turned:
    """A schedule, its Guards, and a clock that only the test moves."""

    def __init__(self, *lines: tuple[str, str], recorded: tuple[Last, ...] | None = ()) -> None:
        entries = [{"cron": cron, "suites": [{"name": suite}]} for cron, suite in lines]
        spec = parse(GuardSpec, {**GUARD, "suites": {"schedule": entries}}, "Guard")
        self.guards = {"chat": spec}
        self.changing: set[str] = set()
        self.runs: list[ScriptedRun] = []
        self.now = MIDNIGHT
        self.schedule = Schedule(self._start)
        if recorded is not None:
            self.schedule.restore(recorded)

    def _start(self, job: Job) -> ScriptedRun:
        self.runs.append(ScriptedRun(job))
        return self.runs[-1]

    def at(self, minutes: float) -> list[Ended]:
        """A tick at that time after midnight."""
        self.now = MIDNIGHT + minutes * MINUTE
        return self.schedule.tick(self.guards, self.changing, self.now)

    @property
    def started(self) -> list[float]:
        """For which minutes runs were started."""
        return [(run.job.at - MIDNIGHT) / MINUTE for run in self.runs]


def test_suites_run_at_their_times_and_once() -> None:
    turned = Turned((QUARTERS, "smoke"))
    for minute in range(46):
        turned.at(minute)
        for run in turned.runs:
            run.done = True
    assert turned.started == [15, 30, 45]


def test_a_run_that_takes_longer_than_its_period_is_never_joined_by_a_second() -> None:
    turned = Turned((QUARTERS, "smoke"))
    for minute in range(55):
        turned.at(minute)
    assert turned.started == [15]
    turned.runs[0].end()
    turned.at(56)
    assert turned.started == [15, 45], "of the missed times only the last is made up for"


def test_two_lines_of_one_target_wait_for_each_other() -> None:
    turned = Turned((QUARTERS, "smoke"), (HOURLY, "load"))
    turned.at(50)
    turned.at(60)
    assert [run.job.scheduled.cron for run in turned.runs] == [QUARTERS]
    turned.runs[0].end()
    turned.at(61)
    assert [run.job.scheduled.cron for run in turned.runs] == [QUARTERS, HOURLY]


def test_guards_of_one_workload_share_its_turn() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.guards["chat-too"] = turned.guards["chat"]
    turned.at(0)
    turned.at(15)
    assert [run.job.guard for run in turned.runs] == ["chat"]


def test_nothing_is_begun_while_a_change_stands_on_the_target() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(0)
    turned.changing = {"chat-stable"}
    turned.at(15)
    assert turned.runs == []
    turned.changing = set()
    turned.at(16)
    assert turned.started == [15]


def test_a_change_that_begins_ends_the_run_under_way() -> None:
    turned = Turned((QUARTERS, "load"))
    turned.at(0)
    turned.at(15)
    turned.changing = {"chat-stable"}
    turned.at(15.1)
    assert turned.runs[0].stopped == "a Change of this target began"


def test_a_change_of_another_target_disturbs_nothing() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(0)
    turned.changing = {"code-stable"}
    turned.at(15)
    assert turned.started == [15]
    assert turned.runs[0].stopped is None


def test_until_the_history_is_known_nothing_is_due() -> None:
    turned = Turned((QUARTERS, "smoke"), recorded=None)
    turned.at(0)
    turned.at(15)
    assert turned.runs == []
    turned.schedule.restore([Last("chat", "smoke", QUARTERS, MIDNIGHT + 15 * MINUTE)])
    turned.at(16)
    assert turned.runs == [], "an earlier guard has run it"
    turned.at(30)
    assert turned.started == [30]


def test_what_no_guard_ran_while_none_was_there_is_run_once() -> None:
    turned = Turned((QUARTERS, "smoke"), recorded=(Last("chat", "smoke", QUARTERS, MIDNIGHT),))
    turned.at(40)
    turned.runs[0].end()
    turned.at(41)
    assert turned.started == [30]


def test_a_run_that_is_recorded_in_the_future_does_not_stop_the_schedule() -> None:
    tomorrow = Last("chat", "smoke", QUARTERS, MIDNIGHT + 24 * 60 * MINUTE)
    turned = Turned((QUARTERS, "smoke"), recorded=(tomorrow,))
    turned.at(1)
    turned.at(15)
    assert turned.started == [15]


def test_a_clock_that_is_set_back_does_not_stop_the_schedule() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(24 * 60)
    turned.at(1)
    turned.at(15)
    assert turned.started == [15]


def test_a_new_guard_does_not_begin_with_a_run_that_nobody_missed() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(14)
    assert turned.runs == []


@pytest.mark.parametrize("pods", [2, 3])
def test_a_targets_pods_take_turns_whatever_the_period(pods: int) -> None:
    turned = Turned((QUARTERS, "smoke"))
    for minute in range(15 * pods + 1):
        turned.at(minute)
        for run in turned.runs:
            run.done = True
    assert {run.job.turn % pods for run in turned.runs} == set(range(pods))


def test_a_result_is_given_out_once() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(0)
    turned.at(15)
    turned.runs[0].end(Verdict.FAIL)
    assert [ended.outcome.verdict for ended in turned.at(15.5)] == [Verdict.FAIL]
    assert turned.at(15.6) == []


def test_a_guard_that_leads_no_more_ends_its_runs() -> None:
    turned = Turned((QUARTERS, "smoke"))
    turned.at(0)
    turned.at(15)
    turned.schedule.drop()
    assert turned.runs[0].stopped == "this guard does not lead any more"
    assert not turned.schedule.restored


def test_a_result_is_late_by_the_shortest_of_a_suites_lines() -> None:
    turned = Turned((HOURLY, "smoke"), (QUARTERS, "smoke"), (HOURLY, "load"))
    expected = turned.schedule.expected("chat", turned.guards["chat"], MIDNIGHT)
    assert {suite: gap / MINUTE for suite, (gap, _) in expected.items()} == {"smoke": 15, "load": 60}
