"""Claims about a promotion that does not go as it should."""

import pytest

from guard.core.change import Intent, Phase, Reason, RoutePhase
from guard.daemon.progress import Progress
from guard.errors import UnreachableError
from tests.daemon.harness import CANARY, STABLE, Harness
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
