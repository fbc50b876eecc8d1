"""The stages of one Change on its way up: the suites before traffic, and each step of the weight.

Owns beginning a stage, beginning it anew, and whether anything may be compared in it. Refuses to decide when
a stage is over.
"""

from guard.api.fields import seconds
from guard.core.change import Phase, RoutePhase
from guard.core.decision import step_at
from guard.daemon.admission import baseline_changed
from guard.daemon.analyse import Opinion
from guard.daemon.observe import Observation
from guard.daemon.parts import Parts, policy_of

RETRY_SUITES_SECONDS = 60.0
BEFORE_TRAFFIC = "before-traffic"
_STAGES = (Phase.TESTING, Phase.PROGRESSING)


class Steps:
    """One Change's; `confounded` says why nothing may be compared with the stable now."""

    def __init__(self, parts: Parts) -> None:
        self.confounded: str | None = None
        self._parts = parts

    def opinion(self, now: float, mono: float) -> Opinion:
        """Suites and live traffic of the stage under way, together."""
        parts, progress = self._parts, self._parts.progress
        promoting = progress.phase is Phase.PROMOTING and progress.weight_percent > 0
        live = progress.phase is Phase.PROGRESSING or promoting
        ended = progress.phase is Phase.PROGRESSING and now >= self._ends_at()
        blind = parts.measurements.blind_because(mono) if live else None
        found = parts.analysis.opinion(mono, parts.stages.current, live, ended, blind, self.confounded)
        if progress.phase in _STAGES:
            judged = live or parts.stages.done or parts.stages.current
            progress.verdict = found.verdict if judged else None  # no PASS while the first suite still runs
        return found

    def watch_baseline(self, seen: Observation, now: float, mono: float) -> None:
        """While the stable is not the plan's, nothing is compared; then the stage begins anew."""
        if self._parts.progress.phase not in _STAGES:
            self.confounded = None
            return
        changed = baseline_changed(self._parts.spec, seen)
        if changed:
            self.confounded = changed[1]
            self._parts.say(*changed, now)
        elif self.confounded and seen.stable.ready:
            self.confounded = None
            self._parts.say("BaselineRestored", "the stable is as planned again; this stage begins anew", now)
            self._parts.analysis.forget()
            self.begin(seen, now, mono)

    def start_testing(self, seen: Observation, now: float) -> None:
        if self._parts.enforces:
            self._parts.actor.claim()
        message = "the canary is ready; suites before traffic begin"
        self._parts.progress.enter(Phase.TESTING, now, "TestingBeforeTraffic", message)
        self._test(seen)

    def enter(self, step: int, weight: int, seen: Observation, now: float, mono: float) -> None:
        parts, progress = self._parts, self._parts.progress
        if parts.enforces:
            progress.entering = step
            parts.save(progress)  # the intent first: a patch whose answer is lost is still known as ours
            parts.actor.set_weight(weight, RoutePhase.PROGRESSING)
            progress.weight_percent, progress.entering = weight, None
        if progress.phase is Phase.PROGRESSING:
            parts.analysis.keep_step(progress.step, mono)
        progress.step = step
        message = f"step {step + 1} of {len(parts.guard.steps)}: {weight} % of the traffic goes to the canary"
        progress.enter(Phase.PROGRESSING, now, "StepEntered", message)
        self.begin(seen, now, mono)

    def resume(self, seen: Observation, now: float, mono: float) -> None:
        """Starts again what a predecessor had under way: the evidence of its stage died with it."""
        progress = self._parts.progress
        if progress.phase is Phase.TESTING and progress.weight_percent > 0:
            # It died after the first step's patch: users are on the canary, so they are what is judged.
            progress.phase = Phase.PROGRESSING
            progress.step = step_at(progress.weight_percent, policy_of(self._parts.spec).steps)
        if progress.phase in _STAGES:
            self.begin(seen, now, mono)

    def begin(self, seen: Observation, now: float, mono: float) -> None:
        """The stage under way, from its beginning."""
        parts, progress = self._parts, self._parts.progress
        progress.stage_started_at = now
        if progress.phase is Phase.PROGRESSING:
            step = parts.guard.steps[progress.step]
            hold = seconds(step.hold)
            fleet = len(seen.canary.replicas), len(seen.stable.replicas)
            parts.analysis.start_step(mono, progress.weight_percent, hold, step.min_requests, *fleet)
            parts.measurements.probes.resume()
        self._test(seen)

    def retry_suites(self, reason: str, seen: Observation, now: float) -> None:
        """A stage held by an error or by silence: ask again, the trouble may be over.

        Never after INCONCLUSIVE: asking until the answer pleases is no test.
        """
        done_at = self._parts.stages.done_at
        held = reason in ("HeldOnError", "HeldOnNoData") and done_at is not None
        if held and done_at is not None and now - done_at >= RETRY_SUITES_SECONDS:
            self._test(seen)

    def _test(self, seen: Observation) -> None:
        """The suites of the stage under way."""
        parts, suites = self._parts, self._parts.guard.suites
        if parts.progress.phase is Phase.TESTING:
            parts.stages.compare(BEFORE_TRAFFIC, suites.before_traffic, seen)
        elif parts.progress.phase is Phase.PROGRESSING:
            parts.stages.compare(f"step-{parts.progress.step + 1}", suites.on_step, seen)

    def _ends_at(self) -> float:
        progress = self._parts.progress
        return progress.stage_started_at + seconds(self._parts.guard.steps[progress.step].hold)
