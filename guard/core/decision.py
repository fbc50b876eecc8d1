"""What to do next with one Change: a pure function from the situation to one action.

Owns the order of the questions (the rollback check comes first, on every tick, before anything that can
return early), steps, holds and deadlines. Refuses to know how a verdict was reached or how an action is
carried out: only the daemon performs it.
"""

from dataclasses import dataclass

from guard.core.change import Intent, Phase
from guard.core.check import Check
from guard.core.verdict import Verdict

SETTLE_SECONDS = 5.0  # arbitrary: longer than a watch lags behind a write, ours or a pipeline's

REQUESTED = "RequestedByOperator"  # the reason of what an operator has asked for


@dataclass(frozen=True)
class Step:
    """One step of the plan."""

    weight_percent: int
    hold_seconds: float


@dataclass(frozen=True)
class Policy:
    """What the plan allows; durations in seconds."""

    enforce: bool
    steps: tuple[Step, ...]
    roll_back_when_inconclusive: bool
    provisioning_deadline_seconds: float
    step_deadline_seconds: float
    change_deadline_seconds: float


@dataclass(frozen=True)
class Situation:
    """All that deciding needs, at one moment.

    Attributes:
        now: Unix seconds, like every `..._at` here.
        step: Index of the current step; -1 before the first.
        entering: Of a step whose patch we began, and whose answer we do not have; None where there is none.
        stage_started_at: When the current phase, or the current step, began.
        weight_percent: The canary's share on the route, as read.
        verdict: What rule and suites say together; None while nothing can be said yet.
        deciding: The check that the verdict comes from, where one can be named.
        forming: What live traffic says so far, in words; empty while it says nothing.
        suites_done: No suite of this stage is running or still to run.
        canary_ready: The canary's pods that the plan asks for are ready and endpoints.
        refusal: Why this Change may not start; None when it may.
        hold: Why it gets no more traffic though nothing has failed; None when it may go on.
        returned: Our patch that takes the traffic from the canary is known to have been taken.
        canary_absent: The canary has traffic, and for some seconds no endpoint.
        quiet: No new user request has reached the arm that lost its traffic for a quiet period.
        stable_has_template: The stable Deployment has the template that is being promoted.
        stable_ready: And it is rolled out, warm and an endpoint.
        canary_put_away: The canary Deployment is at 0 replicas, or has the next change's template already.
    """

    now: float
    phase: Phase
    step: int
    opened_at: float
    stage_started_at: float
    weight_percent: int
    verdict: Verdict | None
    deciding: Check | None = None
    forming: str = ""
    entering: int | None = None
    suites_done: bool = False
    canary_ready: bool = False
    refusal: tuple[str, str] | None = None
    hold: tuple[str, str] | None = None
    intent: Intent | None = None
    returned: bool = False
    canary_absent: bool = False
    quiet: bool = False
    stable_has_template: bool = False
    stable_ready: bool = False
    canary_put_away: bool = False


@dataclass(frozen=True)
class Wait:
    """Nothing to do now; `reason` and `message` go into the Change's condition."""

    reason: str
    message: str


@dataclass(frozen=True)
class Refuse:
    reason: str
    message: str


@dataclass(frozen=True)
class StartTesting:
    """Claim the route for this Change, and run the suites before traffic."""


@dataclass(frozen=True)
class EnterStep:
    step: int
    weight_percent: int


@dataclass(frozen=True)
class BeginPromotion:
    """Write Promoting on the route, before the stable's template is touched."""

    reason: str
    message: str


@dataclass(frozen=True)
class CopyTemplate:
    """Give the stable the promoted template; the route says Promoting already."""


@dataclass(frozen=True)
class ReturnWeight:
    """The stable runs the new template: give it the traffic back, Promoted."""


@dataclass(frozen=True)
class ScaleDownCanary:
    """Traffic has left the canary after promotion."""


@dataclass(frozen=True)
class FinishPromotion:
    """Everything about the promotion is done."""


@dataclass(frozen=True)
class RollBack:
    """Move the traffic to the stable. `abandoned`: nobody's fault, not counted as FAIL."""

    reason: str
    message: str
    check: Check | None = None
    abandoned: bool = False


@dataclass(frozen=True)
class FinishRollback:
    """No new request reaches the canary, and the suites after rollback have run."""


@dataclass(frozen=True)
class FinishObserved:
    """Advise: the weight that others move has come to rest, or nobody waits for that any more."""

    message: str


Action = (
    Wait | Refuse | StartTesting | EnterStep | BeginPromotion | CopyTemplate | ReturnWeight | ScaleDownCanary
    | FinishPromotion | RollBack | FinishRollback | FinishObserved
)  # fmt: skip


def decide(situation: Situation, policy: Policy) -> Action:
    """The next action, with `enforcement: Enforce`."""
    if situation.phase is Phase.ROLLING_BACK:
        return _rolling_back(situation)
    return _rollback_check(situation, policy) or _deadlines(situation, policy) or _progress(situation, policy)


def advise(situation: Situation, policy: Policy) -> Action:
    """The next action, with `enforcement: Advise`: follow the weight that others set, touch nothing.

    Ends when the weight is back at 0 after having been above it, or has been at 100 for the last hold; by an
    operator's Close at any time.
    """
    if situation.intent is Intent.CLOSE:
        return FinishObserved("closed by an operator")
    if situation.phase is Phase.PENDING and situation.weight_percent == 0:
        return _pending(situation, policy)
    if situation.phase is Phase.PROGRESSING and situation.weight_percent == 0:
        return FinishObserved("others have returned the traffic to the stable")
    seen = step_at(situation.weight_percent, policy.steps)
    if situation.weight_percent > 0 and (situation.phase is not Phase.PROGRESSING or seen != situation.step):
        return EnterStep(seen, situation.weight_percent)
    due = situation.stage_started_at + policy.steps[-1].hold_seconds
    if situation.phase is Phase.PROGRESSING and situation.weight_percent >= 100 and situation.now >= due:
        return FinishObserved("others have given the canary all traffic, and the last hold is over")
    if situation.now >= situation.opened_at + policy.change_deadline_seconds:
        return FinishObserved("deadlines.change has passed")
    if situation.hold:
        return Wait(*situation.hold)
    return Wait("Observing", f"the route gives the canary {situation.weight_percent} %; others move it")


def step_at(weight_percent: int, steps: tuple[Step, ...]) -> int:
    """The step that a weight moved by others belongs to: the last one that it has reached, at least 0."""
    reached = [i for i, step in enumerate(steps) if step.weight_percent <= weight_percent]
    return reached[-1] if reached else 0


def _rollback_check(situation: Situation, policy: Policy) -> Action | None:
    if situation.phase is Phase.PENDING:
        return None
    if situation.phase is Phase.PROMOTING and situation.returned:
        return None  # the stable has the traffic already; what is left is to put the canary away
    if situation.intent is Intent.ROLL_BACK:
        return RollBack(REQUESTED, "spec.action is RollBack")
    if situation.verdict is Verdict.FAIL:
        check = situation.deciding
        reason = check.reason if check else "the combined verdict is FAIL"
        return RollBack("ObjectiveFailed", reason, check)
    if situation.canary_absent:
        return RollBack("CanaryGone", "the canary has traffic and no ready endpoint")
    return _entered_unanswered(situation, policy) or _moved_by_others(situation)


def _entered_unanswered(situation: Situation, policy: Policy) -> Action | None:
    """Our own patch was taken and its answer was lost, or its writer died: users are in that step already."""
    entering, weight = situation.entering, situation.weight_percent
    if situation.phase not in (Phase.TESTING, Phase.PROGRESSING) or entering is None:
        return None
    if entering == situation.step or weight != policy.steps[entering].weight_percent:
        return None
    return EnterStep(entering, weight)


def _moved_by_others(situation: Situation) -> Action | None:
    """Traffic that a person or a controller has taken back, or given too early, ends the Change."""
    if situation.phase is Phase.TESTING and situation.weight_percent > 0:
        return RollBack(
            "WeightChanged", "the canary got traffic before its suites had passed", abandoned=True
        )
    settled = situation.now >= situation.stage_started_at + SETTLE_SECONDS
    if situation.phase is Phase.PROGRESSING and situation.weight_percent == 0 and settled:
        return RollBack("WeightChanged", "someone else has set the canary's weight to 0", abandoned=True)
    return None


def _deadlines(situation: Situation, policy: Policy) -> Action | None:
    promoting = situation.phase is Phase.PROMOTING
    if promoting and situation.returned:
        return None  # promoted in all but name
    if situation.intent is Intent.CLOSE:
        return _abandon("Closed", "closed by an operator")
    if situation.intent is Intent.ROLL_BACK and situation.phase is Phase.PENDING:
        return _abandon("Closed", "spec.action is RollBack, and nothing had begun")
    if situation.now >= situation.opened_at + policy.change_deadline_seconds:
        return _abandon("DeadlineExceeded", "deadlines.change has passed")
    if promoting and situation.now >= situation.stage_started_at + policy.provisioning_deadline_seconds:
        why = "the stable did not become ready on the new template within deadlines.provisioning"
        return _abandon("PromotionDeadlineExceeded", why)
    return None


def _abandon(reason: str, message: str) -> Action:
    return RollBack(reason, message, abandoned=True)


def _progress(situation: Situation, policy: Policy) -> Action:
    if situation.phase is Phase.PENDING:
        return _pending(situation, policy)
    if situation.phase is Phase.PROMOTING:
        return _promoting(situation)
    if situation.intent is Intent.HOLD:
        return Wait("HeldByOperator", "spec.action is Hold; Resume goes on")
    if situation.hold:
        return _held(situation.hold)
    if situation.phase is Phase.TESTING:
        return _testing(situation, policy)
    return _progressing(situation, policy)


def _held(obstacle: tuple[str, str]) -> Wait:
    reason, message = obstacle
    return Wait(reason, f"held: {message}")


def _pending(situation: Situation, policy: Policy) -> Action:
    if situation.refusal:
        if situation.now < situation.opened_at + SETTLE_SECONDS:
            return Wait("CheckingPlan", situation.refusal[1])  # a watch may lag behind the pipeline's apply
        return Refuse(*situation.refusal)
    if situation.canary_ready:
        return StartTesting()
    if situation.now >= situation.opened_at + policy.provisioning_deadline_seconds:
        return _abandon("ProvisioningDeadlineExceeded", "the canary did not become ready in time")
    return Wait("WaitingForCanary", "waiting for the canary's replicas to be ready endpoints")


def _testing(situation: Situation, policy: Policy) -> Action:
    if not situation.suites_done:
        return Wait("TestingBeforeTraffic", "suites before traffic are running; the weight is 0")
    if situation.verdict is Verdict.PASS or situation.intent is Intent.PROMOTE:
        return _if_ready(situation, EnterStep(0, policy.steps[0].weight_percent))
    return _undecided(situation, policy)


def _progressing(situation: Situation, policy: Policy) -> Action:
    step = policy.steps[situation.step]
    settled = situation.now >= situation.stage_started_at + SETTLE_SECONDS
    if settled and situation.weight_percent != step.weight_percent:
        found = f"the route gives the canary {situation.weight_percent} %, this step {step.weight_percent} %"
        return Wait("WeightChanged", f"held: {found}; someone else moved it")
    left = situation.stage_started_at + step.hold_seconds - situation.now
    forced = situation.intent is Intent.PROMOTE
    if not forced and (left > 0 or not situation.suites_done):
        # No countdown here: the message stands in the Change's status, which must not change every second.
        what = f"holding for {step.hold_seconds:.0f} s" if left > 0 else "suites are running"
        so_far = f"; so far {situation.forming}" if situation.forming else ""
        return Wait("Analysing", f"step {situation.step + 1} at {step.weight_percent} %: {what}{so_far}")
    if not forced and situation.verdict is not Verdict.PASS:
        return _undecided(situation, policy)
    if situation.step + 1 < len(policy.steps):
        following = situation.step + 1
        return _if_ready(situation, EnterStep(following, policy.steps[following].weight_percent))
    return _if_ready(situation, _promotion(situation))


def _promotion(situation: Situation) -> BeginPromotion:
    if situation.intent is not Intent.PROMOTE:
        return BeginPromotion("Promoting", "the last step passed")
    verdict = situation.verdict or Verdict.NO_DATA
    asked = f"spec.action is Promote; the verdict of the last step was {verdict}"
    return BeginPromotion(REQUESTED, asked)


def _if_ready(situation: Situation, action: Action) -> Action:
    """No more traffic for a canary whose replicas are not all ready endpoints."""
    if situation.canary_ready:
        return action
    return Wait("WaitingForCanary", "waiting for the canary's replicas to be ready endpoints")


def _undecided(situation: Situation, policy: Policy) -> Action:
    """Not PASS at a stage's end: hold. The step's deadline decides INCONCLUSIVE and NO_DATA, not ERROR."""
    verdict = situation.verdict or Verdict.NO_DATA
    late = situation.now >= situation.stage_started_at + policy.step_deadline_seconds
    if late and policy.roll_back_when_inconclusive and verdict is not Verdict.ERROR:
        return RollBack(
            "InconclusiveAtDeadline", f"{verdict} at deadlines.step, and onInconclusive is Rollback"
        )
    why = f": {situation.deciding.reason}" if situation.deciding else ""
    return Wait(_HELD[verdict], f"held: the verdict of this stage is {verdict}{why}")


_HELD = {
    Verdict.ERROR: "HeldOnError",
    Verdict.NO_DATA: "HeldOnNoData",
    Verdict.INCONCLUSIVE: "HeldInconclusive",
    Verdict.PASS: "Held",
    Verdict.FAIL: "Held",
}


def _promoting(situation: Situation) -> Action:
    if not situation.returned:
        if situation.hold:
            return _held(situation.hold)
        if not situation.stable_has_template:
            return CopyTemplate()
        if situation.stable_ready:
            return ReturnWeight()
        return Wait("CopyingToStable", "the stable is rolling out the canary's template")
    if not situation.quiet:
        return Wait("Draining", "the canary's last streams are ending")
    return FinishPromotion() if situation.canary_put_away else ScaleDownCanary()


def _rolling_back(situation: Situation) -> Action:
    if situation.weight_percent > 0 or not situation.returned:
        return RollBack("Resumed", "a rollback was under way")
    if not situation.quiet:
        return Wait("Draining", "waiting until no new request reaches the canary")
    if not situation.suites_done:
        return Wait("VerifyingStable", "suites after rollback are running on the stable")
    return FinishRollback()
