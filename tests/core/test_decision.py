"""Claims about `decide` and `advise`: which action follows from which situation."""

from dataclasses import replace

import pytest

from guard.core import decision as d
from guard.core.change import Intent, Phase
from guard.core.check import Check
from guard.core.decision import Policy, Situation, Step, advise, decide
from guard.core.verdict import Verdict

POLICY = Policy(
    enforce=True,
    steps=(Step(10, 30), Step(50, 40), Step(100, 20)),
    roll_back_when_inconclusive=False,
    provisioning_deadline_seconds=100,
    step_deadline_seconds=200,
    change_deadline_seconds=1000,
)
STEP = Situation(
    now=1010,
    phase=Phase.PROGRESSING,
    step=0,
    opened_at=1000,
    stage_started_at=1000,
    weight_percent=10,
    verdict=Verdict.PASS,
    suites_done=True,
    canary_ready=True,
)
BAD = Check("errors", Verdict.FAIL, "12 of 20 canary requests failed", signal="errors")


def situation(**changes: object) -> Situation:
    return replace(STEP, **changes)  # type: ignore[arg-type]


CASES = [
    (
        "a canary that is not ready waits",
        dict(phase=Phase.PENDING, step=-1, verdict=None, canary_ready=False),
        d.Wait,
    ),
    (
        "a refused plan never touches the route",
        dict(phase=Phase.PENDING, step=-1, canary_ready=True, refusal=("RouteHeld", "by another")),
        d.Refuse,
    ),
    ("a ready canary is tested first", dict(phase=Phase.PENDING, step=-1, canary_ready=True), d.StartTesting),
    (
        "a canary that never becomes ready is abandoned",
        dict(phase=Phase.PENDING, step=-1, now=1100, verdict=None, canary_ready=False),
        d.RollBack,
    ),
    (
        "no traffic while suites run",
        dict(phase=Phase.TESTING, weight_percent=0, step=-1, suites_done=False, verdict=None),
        d.Wait,
    ),
    ("passed suites open the first step", dict(phase=Phase.TESTING, weight_percent=0, step=-1), d.EnterStep),
    (
        "suites without data hold",
        dict(phase=Phase.TESTING, weight_percent=0, step=-1, verdict=Verdict.NO_DATA),
        d.Wait,
    ),
    (
        "suites with an error hold",
        dict(phase=Phase.TESTING, weight_percent=0, step=-1, verdict=Verdict.ERROR),
        d.Wait,
    ),
    (
        "a failed suite rolls back before any traffic",
        dict(phase=Phase.TESTING, weight_percent=0, verdict=Verdict.FAIL),
        d.RollBack,
    ),
    ("a step holds until its time is over", dict(now=1029), d.Wait),
    ("a step waits for its suites", dict(now=1031, suites_done=False), d.Wait),
    ("a passed step opens the next", dict(now=1031), d.EnterStep),
    ("the last passed step promotes", dict(now=1021, step=2, weight_percent=100), d.BeginPromotion),
    ("silence at the end of a step holds", dict(now=1031, verdict=Verdict.NO_DATA), d.Wait),
    ("a fail in the middle of a hold rolls back at once", dict(verdict=Verdict.FAIL), d.RollBack),
    ("a fail outranks an operator's hold", dict(verdict=Verdict.FAIL, intent=Intent.HOLD), d.RollBack),
    ("a fail outranks the change's deadline", dict(verdict=Verdict.FAIL, now=9999), d.RollBack),
    ("an operator's hold stops a passed step", dict(now=1031, intent=Intent.HOLD), d.Wait),
    ("an operator rolls back a healthy canary", dict(intent=Intent.ROLL_BACK), d.RollBack),
    ("an operator's promotion does not wait for the hold", dict(intent=Intent.PROMOTE), d.EnterStep),
    ("promoting copies the template once", dict(phase=Phase.PROMOTING, weight_percent=100), d.CopyTemplate),
    (
        "the stable rolls out before it gets traffic",
        dict(phase=Phase.PROMOTING, weight_percent=100, stable_has_template=True),
        d.Wait,
    ),
    (
        "a ready stable gets the traffic back",
        dict(phase=Phase.PROMOTING, weight_percent=100, stable_has_template=True, stable_ready=True),
        d.ReturnWeight,
    ),
    (
        "the canary stays up while its streams end",
        dict(phase=Phase.PROMOTING, weight_percent=0, returned=True),
        d.Wait,
    ),
    (
        "a drained canary is scaled down",
        dict(phase=Phase.PROMOTING, weight_percent=0, returned=True, quiet=True),
        d.ScaleDownCanary,
    ),
    (
        "promotion ends when the canary is down",
        dict(phase=Phase.PROMOTING, weight_percent=0, returned=True, quiet=True, canary_put_away=True),
        d.FinishPromotion,
    ),
    ("a fail while promoting rolls back", dict(phase=Phase.PROMOTING, verdict=Verdict.FAIL), d.RollBack),
    (
        "a stable that never becomes ready ends the promotion",
        dict(phase=Phase.PROMOTING, now=1100, weight_percent=100, stable_has_template=True),
        d.RollBack,
    ),
    (
        "nothing ends a promotion once the stable has the traffic",
        dict(phase=Phase.PROMOTING, weight_percent=0, returned=True, now=9999, intent=Intent.CLOSE),
        d.Wait,
    ),
    ("an obstacle holds a passed step", dict(now=1031, hold=("BaselineChanged", "x")), d.Wait),
    (
        "an obstacle holds even what an operator promotes",
        dict(now=1031, hold=("PlanChanged", "x"), intent=Intent.PROMOTE),
        d.Wait,
    ),
    (
        "an obstacle does not keep a failed canary's traffic",
        dict(hold=("BaselineChanged", "x"), verdict=Verdict.FAIL),
        d.RollBack,
    ),
    (
        "an edited plan is not copied to the stable",
        dict(phase=Phase.PROMOTING, weight_percent=100, hold=("PlanChanged", "x")),
        d.Wait,
    ),
    ("an unfinished rollback is performed again", dict(phase=Phase.ROLLING_BACK), d.RollBack),
    (
        "a rollback is not over before it is quiet",
        dict(phase=Phase.ROLLING_BACK, weight_percent=0, returned=True),
        d.Wait,
    ),
    (
        "a rollback is not over before the stable is verified",
        dict(phase=Phase.ROLLING_BACK, weight_percent=0, returned=True, quiet=True, suites_done=False),
        d.Wait,
    ),
    (
        "a quiet and verified rollback is over",
        dict(phase=Phase.ROLLING_BACK, weight_percent=0, returned=True, quiet=True),
        d.FinishRollback,
    ),
    (
        "a rollback whose patch is not known to be taken is performed again",
        dict(phase=Phase.ROLLING_BACK, weight_percent=0),
        d.RollBack,
    ),
    (
        "a weight returned but not noted is returned again",
        dict(phase=Phase.PROMOTING, weight_percent=0, stable_has_template=True, stable_ready=True),
        d.ReturnWeight,
    ),
    ("no step for a canary that is not ready", dict(now=1031, canary_ready=False), d.Wait),
    (
        "no promotion of a canary that is not ready",
        dict(now=1021, step=2, weight_percent=100, canary_ready=False),
        d.Wait,
    ),
    ("a canary with traffic and no endpoint is rolled back", dict(canary_absent=True), d.RollBack),
    ("traffic that someone took back ends the change", dict(weight_percent=0), d.RollBack),
    ("a weight that someone moved holds the step", dict(now=1031, weight_percent=30), d.Wait),
    (
        "a step whose patch was taken unheard is entered, though an operator holds",
        dict(now=1031, weight_percent=50, entering=1, verdict=None, intent=Intent.HOLD),
        d.EnterStep,
    ),
    (
        "a weight that is not the one that was patched was moved by others",
        dict(phase=Phase.TESTING, step=-1, weight_percent=30, entering=0),
        d.RollBack,
    ),
    (
        "traffic before the suites passed is taken back",
        dict(phase=Phase.TESTING, step=-1, weight_percent=50),
        d.RollBack,
    ),
    (
        "a fail after the stable has the traffic changes nothing",
        dict(phase=Phase.PROMOTING, weight_percent=0, returned=True, quiet=True, verdict=Verdict.FAIL),
        d.ScaleDownCanary,
    ),
    (
        "a refusal waits for the watches",
        dict(phase=Phase.PENDING, step=-1, now=1001, refusal=("PlanChanged", "x")),
        d.Wait,
    ),
    ("nothing turns a rollback around", dict(phase=Phase.ROLLING_BACK, intent=Intent.PROMOTE), d.RollBack),
]


@pytest.mark.parametrize(("changes", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_action(changes: dict[str, object], expected: type) -> None:
    assert isinstance(decide(situation(**changes), POLICY), expected)


def test_rollback_names_the_check_that_decided() -> None:
    action = decide(situation(verdict=Verdict.FAIL, deciding=BAD), POLICY)
    assert isinstance(action, d.RollBack)
    assert action.check is BAD
    assert action.message == "12 of 20 canary requests failed"
    assert not action.abandoned


@pytest.mark.parametrize(
    "changes",
    [
        {"now": 2001},
        {"intent": Intent.CLOSE},
        {"intent": Intent.ROLL_BACK, "phase": Phase.PENDING, "step": -1, "weight_percent": 0},
        {"now": 1100, "phase": Phase.PROMOTING, "weight_percent": 100, "stable_has_template": True},
        {"now": 2001, "phase": Phase.PROMOTING, "stage_started_at": 1999, "weight_percent": 100},
    ],
    ids=[
        "deadline",
        "closed",
        "rolled back before it began",
        "the stable does not become ready",
        "deadline while promoting",
    ],
)
def test_abandonment_is_not_a_failure(changes: dict[str, object]) -> None:
    action = decide(situation(**changes), POLICY)
    assert isinstance(action, d.RollBack)
    assert action.abandoned


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Verdict.INCONCLUSIVE, d.RollBack), (Verdict.NO_DATA, d.RollBack), (Verdict.ERROR, d.Wait)],
)
def test_on_inconclusive_rollback_decides_silence_at_the_deadline_but_never_an_error(
    verdict: Verdict, expected: type
) -> None:
    policy = replace(POLICY, roll_back_when_inconclusive=True)
    assert isinstance(decide(situation(now=1201, verdict=verdict), policy), expected)
    assert isinstance(decide(situation(now=1199, verdict=verdict), policy), d.Wait)


def test_an_obstacle_is_never_rolled_back_for_at_the_deadline_of_a_step() -> None:
    policy = replace(POLICY, roll_back_when_inconclusive=True)
    held = situation(now=1999, hold=("BaselineChanged", "another"), verdict=Verdict.INCONCLUSIVE)
    assert decide(held, policy) == d.Wait("BaselineChanged", "held: another")


def test_advise_says_what_would_hold_a_change() -> None:
    following = advise(situation(hold=("BaselineChanged", "another")), POLICY)
    assert following == d.Wait("BaselineChanged", "another")


def test_advise_enters_the_step_that_others_set() -> None:
    following = advise(situation(phase=Phase.TESTING, step=-1, weight_percent=50), POLICY)
    assert following == d.EnterStep(1, 50)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_advise_never_acts_on_the_cluster(verdict: Verdict) -> None:
    allowed = (d.Wait, d.EnterStep, d.FinishObserved, d.StartTesting, d.Refuse)
    for phase in (Phase.PENDING, Phase.TESTING, Phase.PROGRESSING):
        for weight in (0, 10, 50, 100):
            for now in (1001, 1300, 9999):
                here = situation(
                    phase=phase, weight_percent=weight, now=now, verdict=verdict, canary_ready=True
                )
                assert isinstance(advise(here, POLICY), allowed)


def test_advise_ends_when_the_weight_is_back_at_zero() -> None:
    assert isinstance(advise(situation(weight_percent=0), POLICY), d.FinishObserved)


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.TESTING, Phase.PROGRESSING])
def test_advise_ends_when_it_is_closed(phase: Phase) -> None:
    following = advise(situation(phase=phase, weight_percent=50, intent=Intent.CLOSE), POLICY)
    assert following == d.FinishObserved("closed by an operator")


def test_advise_ends_after_the_last_hold_at_full_weight() -> None:
    assert isinstance(advise(situation(weight_percent=100, step=2, now=1019), POLICY), d.Wait)
    assert isinstance(advise(situation(weight_percent=100, step=2, now=1021), POLICY), d.FinishObserved)


def test_a_step_that_is_held_says_what_live_traffic_says_so_far() -> None:
    waited = decide(situation(now=1001, forming="0 of 6 canary requests bad"), POLICY)
    assert isinstance(waited, d.Wait)
    assert waited.message == "step 1 at 10 %: holding for 30 s; so far 0 of 6 canary requests bad"
