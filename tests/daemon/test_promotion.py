"""Claims about a promotion that does not go as it should."""

import pytest

from guard.core.change import Intent, Phase, Reason, RoutePhase
from guard.core.check import Check
from guard.core.verdict import Verdict
from guard.daemon.progress import Progress
from guard.daemon.recorded_decision import Decision
from guard.errors import UnreachableError
from tests.daemon.harness import CANARY, STABLE, START, Harness
from tests.daemon.test_change_run import GOOD


def test_a_stable_that_never_becomes_ready_is_put_back_and_the_change_abandoned() -> None:
    harness = Harness()
    harness.target.stable_starts = False
    harness.until(Phase.PROMOTING, **GOOD)
    harness.until(Phase.FINISHED, canary=(2, 0))
    progress = harness.run.progress
    assert progress.ended is Reason.ABANDONED
    assert "did not become ready" in progress.message
    assert harness.target.stable["spec"] == STABLE["spec"]
    assert harness.target.writes[-4:] == [
        "copy template",
        "restore template",
        "roll back",
        "finish RolledBack",
    ]


def test_the_canary_keeps_the_traffic_until_the_stable_is_back() -> None:
    harness = Harness()
    harness.target.stable_starts = False
    harness.until(Phase.PROMOTING, **GOOD)
    harness.until(Phase.ROLLING_BACK, canary=(2, 0))
    assert harness.target.weight == 100
    assert "StableRestoring" in [entry.kind for entry in harness.run.progress.timeline]


def test_the_next_changes_canary_is_not_scaled_down() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    while "weight 0 Promoted" not in harness.target.writes:
        harness.tick(**GOOD)
    harness.target.canary = {**CANARY, "spec": {"containers": [{"args": ["--next"]}]}}
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert harness.run.progress.ended is Reason.PROMOTED
    assert "scale down" not in harness.target.writes


@pytest.mark.parametrize("intent", [Intent.CLOSE, Intent.ROLL_BACK])
def test_a_promotion_ends_promoted_once_the_stable_has_the_traffic(intent: Intent) -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    while "weight 0 Promoted" not in harness.target.writes:
        harness.tick(**GOOD)
    harness.run.intent = intent
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert (harness.run.progress.ended, harness.target.phase) == (Reason.PROMOTED, RoutePhase.PROMOTED)


def test_traffic_returned_by_a_guard_that_then_died_is_not_taken_back() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    before = harness.saved[-1]
    while "weight 0 Promoted" not in harness.target.writes:
        harness.tick(**GOOD)
    harness.start(Progress.from_status(before, harness.turned.now))
    harness.run.intent = Intent.CLOSE
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert (harness.run.progress.ended, harness.target.phase) == (Reason.PROMOTED, RoutePhase.PROMOTED)


def test_an_action_that_fails_is_the_changes_message() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    harness.target.fail_with = UnreachableError("the API is away")
    harness.tick(**GOOD)
    assert (harness.run.progress.reason, harness.run.progress.message) == ("ActionFailed", "the API is away")


def test_a_promotion_that_the_watch_does_not_show_yet_is_not_rolled_back() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    harness.target.lose_answers = True
    while "weight 0 Promoted" not in harness.target.writes:
        harness.target.lagging = harness.target._now()
        harness.tick(**GOOD)
    harness.target.lose_answers = False
    harness.run.intent = Intent.ROLL_BACK
    harness.tick(**GOOD)
    harness.target.lagging = None
    harness.until(Phase.FINISHED, stable=(2, 0))
    assert (harness.run.progress.ended, harness.target.phase) == (Reason.PROMOTED, RoutePhase.PROMOTED)


def final_message(harness: Harness) -> str:
    harness.until(Phase.FINISHED, **GOOD)
    assert harness.run.progress.ended is Reason.PROMOTED
    return harness.run.progress.message


def test_a_forced_promotion_says_over_which_verdict() -> None:
    harness = Harness()
    harness.suites["step-3", "smoke"] = Verdict.INCONCLUSIVE
    while harness.run.progress.reason != "HeldInconclusive":
        harness.tick(**GOOD)
    harness.run.intent = Intent.PROMOTE
    asked = "spec.action is Promote; the verdict of the last step was INCONCLUSIVE"
    assert final_message(harness) == f"promoted ({asked}); without proof of equality"
    assert harness.run.progress.decision is not None
    assert harness.run.progress.decision.message == asked


@pytest.mark.parametrize(
    ("policy", "proof"),
    [
        ("NoHarmFound", "without proof of equality"),
        ("NonInferior", "with proof of non-inferiority"),
    ],
)
def test_a_promotion_says_what_its_policy_has_proven(policy: str, proof: str) -> None:
    harness = Harness(promotion={"policy": policy})
    vars(harness.target).update(weight=100, phase=RoutePhase.PROMOTING, change="ops-1")
    decision = Decision("Promote", "Promoting", "the last step passed", START)
    under_way = Progress(START, Phase.PROMOTING, step=2, stage_started_at=START, decision=decision)
    harness.start(under_way)
    assert final_message(harness) == f"promoted; {proof}"


def test_a_non_inferior_promotion_over_an_undecided_eval_claims_no_proof() -> None:
    harness = Harness(promotion={"policy": "NonInferior"})
    undecided = Check("eval-paired", Verdict.INCONCLUSIVE, "2 of 16 less", signal="quality")
    harness.checks["eval"] = undecided
    harness.run.intent = Intent.PROMOTE
    assert "without proof of non-inferiority: 2 of 16 less" in final_message(harness)


def test_an_outage_is_one_line_of_the_timeline_whatever_its_errors_say() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    for port in range(5):
        harness.target.fail_with = UnreachableError(f"no answer from port {port}")
        harness.tick(**GOOD)
    said = [entry.kind for entry in harness.run.progress.timeline]
    assert said.count("ActionFailed") == 1
    assert harness.run.progress.message == "no answer from port 4"


def test_a_canary_that_is_deleted_after_the_promotion_does_not_keep_it_from_ending() -> None:
    harness = Harness()
    harness.until(Phase.PROMOTING, **GOOD)
    while harness.run.progress.patched_at is None:
        harness.tick(stable=(2, 0))
    harness.target.canary_exists = False
    harness.until(Phase.FINISHED, stable=(2, 0), most=120)
    assert harness.run.progress.ended is Reason.PROMOTED
    assert "scale down" not in harness.target.writes
