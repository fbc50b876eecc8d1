"""Claims about what holds a Change although nothing has failed: another stable, an edited plan."""

from collections.abc import Callable

import pytest

from guard.core.change import Intent, Phase, Reason
from guard.core.check import Check
from guard.core.verdict import Verdict
from guard.daemon.news import held
from tests.daemon.harness import CANARY, STABLE, Harness
from tests.daemon.test_change_run import BAD, GOOD


def change_stable(harness: Harness, *arguments: str) -> None:
    harness.target.stable["spec"] = {"containers": [{"args": ["--ctx-size=2048", *arguments]}]}


def ticks(harness: Harness, count: int, canary: tuple[int, int] = (2, 0)) -> None:
    for _ in range(count):
        harness.tick(canary=canary, stable=(2, 0))


@pytest.mark.parametrize("policy", ["Hold", "Rollback"])
def test_a_stable_changed_in_a_step_holds_it_and_is_never_rolled_back_for(policy: str) -> None:
    harness = Harness(onInconclusive=policy, deadlines={"step": "1m", "change": "1h"})
    harness.until(Phase.PROGRESSING, **GOOD)
    change_stable(harness, "--threads=1")
    ticks(harness, 120)
    progress = harness.run.progress
    assert (progress.phase, progress.step, progress.reason) == (Phase.PROGRESSING, 0, "BaselineChanged")
    assert progress.verdict is Verdict.INCONCLUSIVE
    assert held(progress)  # so that somebody is told
    assert "chat-stable" in progress.message
    assert "spec.containers[0].args" in progress.message


def test_the_step_begins_anew_when_the_stable_is_put_back() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    change_stable(harness, "--threads=1")
    ticks(harness, 30)
    harness.target.stable = {**STABLE}
    back = harness.turned.now
    ticks(harness, 5)
    assert harness.run.progress.step == 0
    assert harness.run.progress.stage_started_at > back
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED


def test_an_excess_of_errors_over_another_stable_fails_nobody() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    change_stable(harness, "--threads=1")
    for _ in range(60):
        harness.tick(canary=(20, 4), stable=(20, 0))
    assert harness.run.progress.reason == "BaselineChanged"
    harness.target.stable = {**STABLE}
    ticks(harness, 2)
    assert harness.run.progress.phase is Phase.PROGRESSING  # what was seen meanwhile counts for nothing


def test_a_dead_canary_is_rolled_back_whatever_the_stable_runs() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    change_stable(harness, "--threads=1")
    harness.tick(**GOOD)
    harness.target.restarts = 2
    harness.until(Phase.ROLLING_BACK, **GOOD, most=5)
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.signal == "hard_limit"


def test_an_eval_lost_against_another_stable_fails_nobody() -> None:
    harness = Harness()
    harness.until(Phase.TESTING)
    change_stable(harness, "--threads=1")
    lost = Check("eval-paired", Verdict.FAIL, "5 of 16 less", signal="eval", value=0.5, baseline_value=0.8)
    harness.checks["eval"] = lost
    ticks(harness, 30)
    assert [r.verdict for _, r in harness.run.results] == [Verdict.PASS, Verdict.FAIL]
    assert (harness.run.progress.phase, harness.run.progress.reason) == (Phase.TESTING, "BaselineChanged")


def test_a_restart_of_the_stable_is_no_other_stable() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    mark = {"kubectl.kubernetes.io/restartedAt": "2027-01-15T08:00:00Z"}
    harness.target.stable["metadata"] = {**STABLE["metadata"], "annotations": mark}
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED


def test_advise_says_that_another_stable_confounds() -> None:
    harness = Harness(enforcement="Advise")
    ticks(harness, 5)
    harness.target.weight = 50
    ticks(harness, 5)
    change_stable(harness, "--threads=1")
    for _ in range(40):
        harness.tick(canary=(20, 4), stable=(20, 0))
    assert harness.run.progress.reason == "BaselineChanged"
    assert harness.run.progress.would_have is None


def test_a_plan_that_was_edited_holds_the_step() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.run.edited = True
    ticks(harness, 60)
    progress = harness.run.progress
    assert (progress.phase, progress.step, progress.reason) == (Phase.PROGRESSING, 0, "PlanChanged")
    harness.run.edited = False
    harness.until(Phase.FINISHED, **GOOD)
    assert progress.ended is Reason.PROMOTED


def test_an_edited_plan_does_not_keep_a_bad_canarys_traffic() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    harness.run.edited = True
    harness.until(Phase.FINISHED, **BAD, most=80)
    assert harness.run.progress.ended is Reason.ROLLED_BACK


def test_an_operator_closes_a_change_that_is_held() -> None:
    harness = Harness()
    harness.until(Phase.PROGRESSING, **GOOD)
    change_stable(harness, "--threads=1")
    ticks(harness, 5)
    harness.run.intent = Intent.CLOSE
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.ended is Reason.ABANDONED


def edit_template(harness: Harness) -> None:
    """The cluster's canary is as opened; what would be copied to the stable is not."""
    edited = {**CANARY, "spec": {"containers": [{"args": ["--other"]}]}}
    plan = harness.plan.model_copy(update={"canary_template": edited})
    harness.reopen(harness.spec.model_copy(update={"plan": plan}))


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda h: change_stable(h, "--threads=1"), "BaselineChanged"),
        (lambda h: setattr(h.run, "edited", True), "PlanChanged"),
        (edit_template, "PlanChanged"),
    ],
    ids=["another stable", "an edited spec", "a plan beside its digest"],
)
def test_before_traffic_the_same_is_refused(prepare: Callable[[Harness], None], reason: str) -> None:
    harness = Harness()
    prepare(harness)
    harness.until(Phase.FINISHED, most=10)
    assert harness.run.progress.ended is Reason.REFUSED
    assert harness.run.progress.message.startswith(reason)
    assert harness.target.writes == []
