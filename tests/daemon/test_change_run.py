"""Claims about one Change from its opening to its end; time is turned by hand."""

from collections.abc import Callable

import pytest

from guard.core.change import Intent, Phase, Reason, RoutePhase
from guard.core.verdict import Verdict
from guard.daemon.progress import Progress
from guard.errors import UnreachableError
from tests.daemon.harness import START, Harness

GOOD = dict(canary=(2, 0), stable=(2, 0))
BAD = dict(canary=(2, 1), stable=(2, 0))


def test_a_good_canary_is_promoted_and_leaves_the_canary_at_zero() -> None:
    harness = Harness()
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED
    assert harness.target.writes == [
        "claim",
        "weight 10 Progressing",
        "weight 50 Progressing",
        "weight 100 Progressing",
        "weight 100 Promoting",
        "copy template",
        "weight 0 Promoted",
        "scale down",
    ]
    assert harness.promoted_template()


def test_nothing_is_called_a_pass_while_the_first_suite_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness()
    monkeypatch.setattr("tests.daemon.harness.InstantSuite.poll", lambda suite: None)
    harness.until(Phase.TESTING)
    for _ in range(3):
        harness.tick()
    assert harness.saved[-1]["verdict"] is None
    monkeypatch.undo()
    harness.until(Phase.PROGRESSING)
    assert harness.saved[-2]["verdict"] == "PASS"


def test_a_canary_that_fails_its_eval_never_gets_traffic() -> None:
    harness = Harness()
    harness.suites["eval"] = Verdict.FAIL
    harness.until(Phase.FINISHED, stable=(2, 0))
    progress = harness.run.progress
    assert (progress.ended, progress.verdict) == (Reason.ROLLED_BACK, Verdict.FAIL)
    assert progress.decision is not None
    assert progress.decision.signal == "eval"
    assert not [write for write in harness.target.writes if write.startswith("weight")]
    assert harness.target.phase is RoutePhase.ROLLED_BACK


def test_errors_on_users_traffic_roll_back_once_within_the_step() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    for _ in range(40):
        if harness.run.progress.step == 1:
            break
        harness.tick(**GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    assert harness.run.progress.step == 1
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.signal in ("errors", "hard_limit")
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.target.writes.count("roll back") == 1
    assert harness.run.progress.ended is Reason.ROLLED_BACK
    assert ("after-rollback", "smoke") in [(stage, r.suite) for stage, r in harness.run.results]


def test_a_rollback_is_not_over_while_new_requests_reach_the_canary() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    for _ in range(10):
        harness.tick(**BAD, leaks=True)
    assert harness.run.progress.phase is Phase.ROLLING_BACK
    last = harness.turned.now
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.last_new_request_at == last
    seconds = harness.run.progress.rollback_seconds()
    assert seconds["fromPatch"] == pytest.approx(10, abs=2)


def test_a_rollback_waits_for_open_streams_until_the_drain_is_over() -> None:
    harness = Harness(drain={"timeout": "30s"})
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.streams.open = 1
    for _ in range(20):
        harness.tick(stable=(2, 0))
    assert (harness.run.progress.phase, harness.run.progress.reason) == (Phase.ROLLING_BACK, "Draining")
    harness.until(Phase.FINISHED, stable=(2, 0), most=20)


def test_nothing_is_drained_before_the_pods_have_told() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.streams.open = None
    for _ in range(20):
        harness.tick(stable=(2, 0))
    assert harness.run.progress.quiet_at is None


def test_silence_that_nobody_watched_is_not_quiet() -> None:
    harness = Harness(drain={"timeout": "30s"})
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.measurements.seen_until = harness.turned.now - START  # the gateway tells no more
    for _ in range(20):
        harness.tick(stable=(2, 0))
    assert (harness.run.progress.phase, harness.run.progress.reason) == (Phase.ROLLING_BACK, "Draining")
    harness.until(Phase.FINISHED, stable=(2, 0), most=20)
    said = [entry.kind for entry in harness.run.progress.timeline]
    assert "QuietUnknown" in said
    assert "Quiet" not in said
    assert harness.run.progress.quiet_at is None


def test_silence_before_anybody_looked_is_not_quiet() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    looked_from = harness.turned.now + 20
    harness.measurements.seen_from = looked_from - START
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.quiet_at is not None
    assert harness.run.progress.quiet_at >= looked_from


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR])
def test_a_stable_that_does_not_pass_after_a_rollback_is_in_the_final_message(verdict: Verdict) -> None:
    harness = Harness()
    harness.suites["after-rollback", "smoke"] = verdict
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.FINISHED, **BAD, most=80)
    status = harness.saved[-1]
    assert status["reason"] == "RolledBack"
    finished = next(c for c in status["conditions"] if c["type"] == "Finished")
    assert f"the stable did not pass its suites afterwards: smoke {verdict}" in finished["message"]
    assert f"smoke says {verdict}" in finished["message"]


def test_an_error_in_an_earlier_step_is_not_the_faults_onset() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.tick(canary=(100, 1), stable=(100, 0))
    while harness.run.progress.step == 0:
        harness.tick(canary=(100, 0), stable=(100, 0))
    for _ in range(5):
        harness.tick(**GOOD)
    bad_from = harness.turned.now
    harness.until(Phase.ROLLING_BACK, canary=(4, 4), stable=(4, 0))
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.fault_at == bad_from


def test_the_intent_is_recorded_before_the_traffic_moves() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.fail_with = UnreachableError("the API is away")
    harness.until(Phase.ROLLING_BACK, **BAD)
    assert harness.saved[-1]["decision"]["action"] == "RollBack"
    assert harness.target.weight > 0
    harness.target.fail_with = None
    harness.tick(stable=(2, 0))
    assert harness.target.weight == 0


def test_a_killed_guard_goes_on_with_the_rollback_and_does_it_once() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    decided = harness.saved[-1]["decision"]
    harness.restart()
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.target.writes.count("roll back") == 1
    assert harness.saved[-1]["decision"] == decided
    assert harness.run.progress.ended is Reason.ROLLED_BACK


def test_a_guard_killed_between_intent_and_patch_still_rolls_back() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.fail_with = UnreachableError("killed before the patch")
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.target.fail_with = None
    harness.restart()
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.target.writes.count("roll back") == 1


def test_a_successor_keeps_the_last_new_request_that_its_predecessor_saw() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.tick(**BAD, leaks=True)
    last = harness.turned.now
    harness.measurements.last_canary_request_at = None
    harness.restart()
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.last_new_request_at == last


def test_a_weight_that_others_move_again_is_returned_without_new_suites() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    harness.tick(stable=(2, 0))
    harness.tick(stable=(2, 0))
    harness.target.weight = 10
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.target.weight == 0
    assert harness.target.writes.count("roll back") == 2
    after = [result.suite for stage, result in harness.run.results if stage == "after-rollback"]
    assert after == ["smoke"]


def test_a_guard_killed_before_traffic_tests_again() -> None:
    harness = Harness()
    harness.suites["eval"] = Verdict.ERROR
    harness.until(Phase.TESTING)
    for _ in range(3):
        harness.tick()
    harness.restart()
    harness.suites["eval"] = Verdict.FAIL
    harness.until(Phase.FINISHED)
    assert harness.run.progress.ended is Reason.ROLLED_BACK


def test_a_guard_killed_in_a_step_begins_the_hold_anew() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    for _ in range(15):
        harness.tick(**GOOD)
    harness.restart()
    harness.tick(**GOOD)
    assert harness.run.progress.stage_started_at > START + 15
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED


def test_a_restarted_guard_does_not_take_pods_that_were_long_ready_for_cold_ones() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.restart()
    harness.tick(**GOOD)
    ready = [event.at for event in harness.run.analysis.events if event.kind == "ready"]
    assert ready == [harness.target.ready_at - START] * 2


def test_silence_holds_the_step() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING)
    for _ in range(60):
        harness.tick()
    progress = harness.run.progress
    assert (progress.phase, progress.step, progress.reason) == (Phase.PROGRESSING, 0, "HeldOnNoData")
    assert "roll back" not in harness.target.writes


def test_an_error_of_a_suite_holds_and_the_suites_are_tried_again() -> None:
    harness = Harness()
    harness.suites["smoke"] = Verdict.ERROR
    harness.until(Phase.TESTING)
    for _ in range(30):
        harness.tick()
    assert harness.run.progress.reason == "HeldOnError"
    harness.suites["smoke"] = Verdict.PASS
    harness.until(Phase.PROGRESSING, most=60)


def test_a_template_that_is_not_the_planned_one_is_rolled_back() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.canary["spec"]["containers"][0]["args"].append("--other")
    harness.until(Phase.FINISHED, **GOOD, most=60)
    assert harness.run.progress.ended is Reason.ROLLED_BACK
    assert "template" in harness.run.progress.message


def test_two_restarts_in_a_step_roll_back() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.tick(**GOOD)
    harness.target.restarts = 2
    harness.until(Phase.ROLLING_BACK, **GOOD, most=5)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda h: setattr(h.target, "weight", 5), "CanaryHasTraffic"),
        (lambda h: vars(h.target).update(phase=RoutePhase.PROGRESSING, change="ops-0"), "RouteHeld"),
        (lambda h: h.target.canary["spec"].update(other=1), "PlanChanged"),
        (lambda h: h.reopen(h.spec.model_copy(update={"risk": "R2"})), "ApprovalsNotSupported"),
    ],
    ids=["canary weight above 0", "held by another change", "another template", "risk R2"],
)
def test_a_change_that_may_not_start_touches_nothing(prepare: Callable[[Harness], None], reason: str) -> None:
    harness = Harness()
    prepare(harness)
    harness.until(Phase.FINISHED, most=10)
    assert harness.run.progress.ended is Reason.REFUSED
    assert harness.run.progress.message.startswith(reason)
    assert harness.target.writes == []


def test_a_canary_without_ready_endpoints_gets_no_traffic_and_is_abandoned() -> None:
    harness = Harness()
    harness.target.canary_ready = False
    harness.until(Phase.FINISHED)
    assert harness.run.progress.ended is Reason.ABANDONED
    assert harness.target.writes == []


@pytest.mark.parametrize("intent", [Intent.CLOSE, None], ids=["closed", "deadline"])
def test_a_route_claimed_by_a_guard_that_then_died_is_left_at_rest(intent: Intent | None) -> None:
    harness = Harness()
    harness.target.canary_ready = False
    harness.target.claim()
    harness.run.intent = intent
    harness.until(Phase.FINISHED)
    assert harness.run.progress.ended is Reason.ABANDONED
    assert harness.target.phase is RoutePhase.ROLLED_BACK


def test_a_route_at_rest_since_a_change_of_the_same_name_is_not_touched() -> None:
    harness = Harness()
    vars(harness.target).update(phase=RoutePhase.PROMOTED, change="ops-1", canary_ready=False)
    harness.run.intent = Intent.CLOSE
    harness.until(Phase.FINISHED)
    assert harness.target.writes == []


@pytest.mark.parametrize("phase", [RoutePhase.PROMOTED, RoutePhase.PROMOTING])
def test_a_refused_change_leaves_the_route_that_one_of_its_name_was_promoted_on(phase: RoutePhase) -> None:
    harness = Harness()
    vars(harness.target).update(phase=phase, change="ops-1")
    harness.reopen(harness.spec.model_copy(update={"risk": "R2"}))
    harness.until(Phase.FINISHED, most=10)
    assert harness.run.progress.ended is Reason.REFUSED
    assert harness.target.writes == []


def test_an_operator_closes_a_change_and_traffic_returns() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.run.intent = Intent.CLOSE
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.ended is Reason.ABANDONED
    assert harness.target.weight == 0


def test_advise_says_what_it_would_have_done_and_writes_nothing() -> None:
    harness = Harness(enforcement="Advise")
    for _ in range(5):
        harness.tick(stable=(2, 0))
    harness.target.weight = 50
    for _ in range(40):
        harness.tick(**BAD)
    would = harness.run.progress.would_have
    assert would is not None
    assert (would.action, would.signal) in [("RollBack", "errors"), ("RollBack", "hard_limit")]
    assert harness.run.progress.phase is Phase.PROGRESSING
    harness.target.weight = 0
    harness.tick(stable=(2, 0))
    assert harness.run.progress.ended is Reason.OBSERVED
    assert harness.target.writes == []


def test_closing_under_advise_ends_the_change_and_is_no_advice() -> None:
    harness = Harness(enforcement="Advise")
    harness.target.weight = 50
    harness.tick(**GOOD)
    harness.run.intent = Intent.CLOSE
    harness.tick(**GOOD)
    progress = harness.run.progress
    assert (progress.ended, progress.message) == (Reason.OBSERVED, "closed by an operator")
    assert progress.would_have is None
    assert harness.target.writes == []


def until_promoting(harness: Harness) -> None:
    harness.until(Phase.PROMOTING, **GOOD)


@pytest.mark.parametrize("intent", [Intent.ROLL_BACK, Intent.CLOSE])
def test_a_rollback_from_promoting_never_ends_promoted(intent: Intent) -> None:
    harness = Harness()
    until_promoting(harness)
    harness.run.intent = intent
    harness.until(Phase.FINISHED, stable=(2, 0))
    expected = Reason.ROLLED_BACK if intent is Intent.ROLL_BACK else Reason.ABANDONED
    assert harness.run.progress.ended is expected
    assert harness.target.phase is RoutePhase.ROLLED_BACK
    assert "scale down" not in harness.target.writes


def test_an_unreadable_gateway_is_an_error_and_holds_although_probes_pass() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.measurements.blind = "the gateway's metrics at http://gateway:9100/metrics could not be read"
    for _ in range(40):
        harness.tick()
    progress = harness.run.progress
    assert (progress.phase, progress.step, progress.reason) == (Phase.PROGRESSING, 0, "HeldOnError")
    assert "could not be read" in progress.message


def test_a_canary_that_loses_its_endpoints_is_rolled_back() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.canary_ready = False
    harness.until(Phase.ROLLING_BACK, stable=(2, 0), most=10)
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.reason == "CanaryGone"


@pytest.mark.parametrize("readable", [True, False], ids=["route readable", "route not readable"])
def test_a_canary_deleted_under_traffic_is_rolled_back(readable: bool) -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.canary_exists = False
    harness.target.route_readable = readable
    harness.until(Phase.ROLLING_BACK, stable=(2, 0), most=10)
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.reason == "CanaryGone"


def test_a_canary_not_ready_after_its_suites_gets_no_traffic() -> None:
    harness = Harness()
    harness.until(Phase.TESTING)
    harness.target.canary_ready = False
    for _ in range(20):
        harness.tick(stable=(2, 0))
    assert [write for write in harness.target.writes if write.startswith("weight")] == []


def test_traffic_that_a_person_took_back_is_not_given_again() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.target.weight = 0
    harness.until(Phase.FINISHED, stable=(2, 0), most=40)
    assert harness.run.progress.ended is Reason.ABANDONED
    assert harness.target.writes.count("weight 10 Progressing") == 1


@pytest.mark.parametrize("killed", [False, True], ids=["the same guard", "a successor"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_step_whose_answer_was_lost_is_gone_on_with(step: int, killed: bool) -> None:
    harness = Harness()
    harness.until(Phase.TESTING)
    while harness.run.progress.step < step - 1:
        harness.tick(**GOOD)
    harness.target.lose_answers = True
    weight = harness.guard.steps[step].weight
    while harness.target.weight != weight:
        before = len(harness.saved)
        harness.tick(**GOOD)
    harness.target.lose_answers = False
    if killed:
        del harness.saved[before + 1 :]  # what stood there when the patch was sent
        harness.restart()
    harness.tick(**GOOD)
    harness.tick(**GOOD)
    assert (harness.run.progress.phase, harness.run.progress.step) == (Phase.PROGRESSING, step)
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED


def test_a_lost_save_before_traffic_does_not_leave_the_change_draining() -> None:
    harness = Harness()
    harness.suites["eval"] = Verdict.FAIL
    harness.until(Phase.TESTING)
    harness.save = failing_once(harness.save)  # type: ignore[method-assign]
    harness.until(Phase.FINISHED, most=40)
    assert harness.run.progress.ended is Reason.ROLLED_BACK


def failing_once(save: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """The API does not take the status in which the rollback is intended, once."""
    failed = []

    def attempt(progress: Progress) -> None:
        if progress.decision is not None and not failed:
            failed.append(True)
            raise UnreachableError("the API is away")
        save(progress)

    return attempt


def test_a_guard_killed_between_the_first_patch_and_its_status_judges_the_users() -> None:
    harness = Harness()
    harness.until(Phase.TESTING)
    before = harness.saved[-1]
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.saved.append(before)
    harness.restart()
    harness.until(Phase.ROLLING_BACK, **BAD)
    assert harness.run.progress.step == 0


def test_a_template_swapped_while_promoting_is_rolled_back() -> None:
    harness = Harness()
    until_promoting(harness)
    harness.target.canary["spec"]["containers"][0]["args"].append("--other")
    harness.until(Phase.FINISHED, **GOOD, most=60)
    assert harness.run.progress.ended is Reason.ROLLED_BACK


def test_inconclusive_suites_are_not_asked_until_they_please() -> None:
    harness = Harness()
    harness.suites["eval"] = Verdict.INCONCLUSIVE
    harness.until(Phase.TESTING)
    for _ in range(200):
        harness.tick()
    assert [r.suite for _, r in harness.run.results] == ["smoke", "eval"]


def test_status_survives_its_round_trip() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.until(Phase.ROLLING_BACK, **BAD)
    status = harness.saved[-1]
    assert Progress.from_status(status, 0.0).to_status(3) == status


def test_the_message_of_a_held_step_counts_what_was_seen() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING)
    harness.tick(canary=(3, 0), stable=(9, 0))
    harness.tick(canary=(3, 0), stable=(11, 0))
    assert "0 of 6 canary requests bad, 0 of 20 of the baseline" in harness.run.progress.message
