"""What each look and each measurement adds to the evidence of one Change.

Owns turning an observation into events: pods, a foreign template, a moved weight, a suite that ended. Refuses
to judge any of it.
"""

from guard.api.change import plan_digest
from guard.core.blocks import PodEvent
from guard.core.change import Phase
from guard.core.samples import Arm
from guard.daemon.observe import Observation, PodWatch
from guard.daemon.parts import Parts


class Intake:
    """Call `take` once a tick.

    Attributes:
        weights: (Unix seconds, canary's percent) at each change of the route's weight.
    """

    def __init__(self, parts: Parts) -> None:
        self.weights: list[tuple[float, int]] = []
        self._parts = parts
        self._pods = {arm: PodWatch(arm, parts.clock_offset) for arm in (Arm.BASELINE, Arm.CANARY)}
        self._template_reported = False

    def take(self, seen: Observation, now: float, mono: float) -> None:
        parts = self._parts
        parts.analysis.take(parts.measurements.take(), mono)
        events = self._pods[Arm.BASELINE].events(mono, seen.stable.replicas)
        events += self._pods[Arm.CANARY].events(mono, seen.canary.replicas)
        parts.analysis.take_events([*events, *self._template_events(seen, mono)])
        self._take_weight(seen, mono + parts.clock_offset)
        self._take_result(now)

    def _take_weight(self, seen: Observation, at: float) -> None:
        progress = self._parts.progress
        weight = seen.route.weight_percent if seen.route else progress.weight_percent
        if progress.phase is Phase.ROLLING_BACK and self._parts.taken_by(seen):
            weight = 0  # what another Change gives its canary is nothing that this one could take back
        if not self.weights or self.weights[-1][1] != weight:
            self.weights.append((at, weight))
        progress.weight_percent = weight

    def _take_result(self, now: float) -> None:
        arrived = self._parts.stages.poll()
        if arrived is None:
            return
        stage, result = arrived
        verdict = str(result.verdict)
        self._parts.progress.suites.append({"stage": stage, "suite": result.suite, "verdict": verdict})
        self._parts.say("SuiteFinished", f"{result.suite} ({stage}): {verdict}", now)

    def _template_events(self, seen: Observation, mono: float) -> list[PodEvent]:
        """The canary's template is not the one that was opened: what runs is not what was planned.

        Said once; never after the traffic has left, when the next change's canary may be applied.
        """
        parts, progress = self._parts, self._parts.progress
        left = progress.phase is Phase.ROLLING_BACK or progress.patched_at is not None
        if left or self._template_reported or not seen.canary.template or progress.phase is Phase.PENDING:
            return []
        if plan_digest(parts.guard, seen.canary.template) == parts.spec.plan.digest:
            return []
        self._template_reported = True
        return [PodEvent(mono, Arm.CANARY, "", "fingerprint", "the canary's pod template is not the plan's")]
