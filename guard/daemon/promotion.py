"""A promotion by CopyToStable: the stable takes the template, then the traffic, then the canary goes.

Owns the order and what the record says of it. Refuses to decide that there is one.
"""

from guard.core import decision as actions
from guard.core.change import Phase, Reason, RoutePhase
from guard.core.verdict import Verdict
from guard.daemon.observe import Observation
from guard.daemon.parts import Parts
from guard.daemon.recorded_decision import Decision


class Promotion:
    """One Change's; each step may be repeated."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def perform(self, action: actions.Action, now: float) -> None:
        match action:
            case actions.BeginPromotion():
                self._begin(action, now)
            case actions.CopyTemplate():
                self._parts.actor.copy_template()
            case actions.ReturnWeight():
                self._parts.actor.set_weight(0, RoutePhase.PROMOTED)
                self._note_returned()
            case actions.ScaleDownCanary():
                self._parts.actor.scale_down_canary()
            case actions.FinishPromotion():
                self._parts.progress.end(Reason.PROMOTED, now, self._in_words())

    def notice(self, seen: Observation) -> None:
        """The traffic was returned by a patch whose answer was lost, or whose writer died."""
        progress, route = self._parts.progress, seen.route
        returned = route is not None and route.phase is RoutePhase.PROMOTED
        ours = route is not None and route.change == self._parts.name
        if progress.phase is Phase.PROMOTING and progress.patched_at is None and returned and ours:
            self._note_returned()

    def returned(self) -> bool:
        """The same by a fresh read, before it would be rolled back: a promotion cannot be turned around."""
        progress = self._parts.progress
        if progress.phase is not Phase.PROMOTING or not self._parts.actor.promoted():
            return False
        self._note_returned()
        return True

    def _begin(self, action: actions.BeginPromotion, now: float) -> None:
        parts, progress = self._parts, self._parts.progress
        progress.decision = Decision("Promote", action.reason, action.message, now)
        parts.actor.set_weight(progress.weight_percent, RoutePhase.PROMOTING)
        parts.analysis.keep_step(progress.step, parts.clock.monotonic())
        parts.stages.kill()
        progress.enter(Phase.PROMOTING, now, "Promoting", "the stable takes the canary's pod template")

    def _note_returned(self) -> None:
        parts, progress = self._parts, self._parts.progress
        progress.patched_at = parts.clock.unix()
        progress.weight_percent = 0
        parts.measurements.probes.pause()
        parts.say("WeightReturned", "the stable runs the new template and has all traffic")

    def _in_words(self) -> str:
        """What the promotion rests on, and with what power: a record must state both."""
        decision = self._parts.progress.decision
        forced = decision is not None and decision.reason == actions.REQUESTED
        why = f" ({decision.message})" if decision and forced else ""
        checks = [check for _, result in self._parts.stages.results for check in result.checks]
        compared = [check for check in checks if check.name == "eval-paired"]
        passed = all(check.verdict is Verdict.PASS for check in compared)
        if self._parts.guard.promotion.policy == "NoHarmFound":
            proof = "without proof of equality"
        else:
            proof = f"{'with' if passed and not forced else 'without'} proof of non-inferiority"
        return f"promoted{why}; {proof}" + (f": {compared[-1].reason}" if compared else "")
