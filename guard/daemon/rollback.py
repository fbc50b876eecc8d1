"""A rollback from its decision to its end: the intent first, then the traffic, then the stable's health.

Owns the record of why, and what is said at the end. Refuses to decide that there is one.
"""

from guard.core.change import Phase, Reason, RoutePhase
from guard.core.check import SuiteResult
from guard.core.decision import RollBack
from guard.core.verdict import Verdict
from guard.daemon.act import CLAIMED
from guard.daemon.analyse import Opinion
from guard.daemon.observe import Observation
from guard.daemon.parts import Parts
from guard.daemon.recorded_decision import Decision

AFTER_ROLLBACK = "after-rollback"


class Rollback:
    """One Change's; each method may be repeated."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._verifying = False

    def perform(self, action: RollBack, opinion: Opinion, now: float) -> None:
        """Takes the traffic back, as often as it is asked for."""
        parts, progress = self._parts, self._parts.progress
        if progress.phase is Phase.PENDING:
            self.leave_claimed_route()
            progress.end(Reason.ABANDONED, now, action.message)
            return
        if progress.phase is not Phase.ROLLING_BACK:
            self._decide(action, opinion, now)
            parts.save(progress)  # the intent first: a successor goes on from it
        if parts.actor.roll_back():
            progress.patched_at = progress.patched_at or parts.clock.unix()
            progress.weight_percent = 0
            seen = parts.look()
            self.verify_stable(seen)
            if progress.step >= 0 and parts.taken_by(seen) is None:
                parts.say("TrafficReturned", "all traffic goes to the stable")
        else:
            message = "the stable gets its template from before; the traffic waits for it"
            parts.say("StableRestoring", message)

    def leave_claimed_route(self) -> None:
        """Claimed by a predecessor that died before it could say so: it would be held for ever."""
        route = self._parts.look().route
        ours = route is not None and route.change == self._parts.name and route.phase in CLAIMED
        if ours and self._parts.enforces:
            self._leave_route()

    def verify_stable(self, seen: Observation) -> None:
        """Once: a watch that lags behind our patch, or another's write, does not begin the suites anew."""
        if not self._verifying:
            self._verifying = True
            suites = self._parts.guard.suites.after_rollback
            self._parts.stages.verify_stable(AFTER_ROLLBACK, suites, seen)

    def finish(self, now: float) -> None:
        self._leave_route()
        progress = self._parts.progress
        decision = progress.decision
        abandoned = decision is not None and decision.abandoned
        why = decision.message if decision else progress.message
        progress.end(
            Reason.ABANDONED if abandoned else Reason.ROLLED_BACK, now, why + self._stable_in_words()
        )

    def _leave_route(self) -> None:
        """At rest, or as it is where another Change has taken it: this one's end does not wait for that."""
        other = self._parts.actor.finish(RoutePhase.ROLLED_BACK)
        if other is not None:
            self._parts.say("RouteTaken", f"change {other} holds the route now; it was left as it is")

    def _decide(self, action: RollBack, opinion: Opinion, now: float) -> None:
        parts, progress, check = self._parts, self._parts.progress, action.check
        parts.measurements.probes.pause()  # a suite under way is ended later: the traffic goes first
        from_traffic = check is not None and check in opinion.live
        progress.decision = Decision(
            action="Abandon" if action.abandoned else "RollBack",
            reason=action.reason,
            message=action.message,
            at=now,
            signal=check.signal or check.name if check else None,
            sample_at=parts.unix(opinion.sample_at, now) if from_traffic else None,
            fault_at=parts.unix(opinion.fault_at, now) if from_traffic else None,
            abandoned=action.abandoned,
        )
        progress.verdict = opinion.verdict
        parts.analysis.live_checks.append((progress.step, opinion.live))
        progress.enter(Phase.ROLLING_BACK, now, action.reason, action.message)

    def _stable_in_words(self) -> str:
        """Nothing where the suites after the rollback passed."""
        found = [
            f"{result.suite} {result.verdict} ({_why(result)})"
            for stage, result in self._parts.stages.results
            if stage == AFTER_ROLLBACK and result.verdict is not Verdict.PASS
        ]
        return f"; but the stable did not pass its suites afterwards: {', '.join(found)}" if found else ""


def _why(result: SuiteResult) -> str:
    """The suite's own error, or its first check of that verdict."""
    reasons = (check.reason for check in result.checks if check.verdict is result.verdict)
    return result.error or next(reasons, "no check ran")
