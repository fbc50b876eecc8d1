"""One Change on its way: observe, analyse, decide, act, once a tick.

Owns what this process knows of the Change beyond its status: measurements, evidence, suites under way.
Everything a successor needs stands in the status and on the route. Refuses to judge (`analyse`), to decide
(`guard.core.decision`) and to write to the cluster by itself (`act`, `status`).
"""

from collections.abc import Callable
from functools import partial

from guard.adapters.endpoint import Endpoint
from guard.adapters.signals.pods import requests_in_flight
from guard.api.change import ChangeSpec
from guard.api.guard import Runtime
from guard.core import decision as actions
from guard.core.change import Intent, Phase, Reason
from guard.core.check import Check, SuiteResult
from guard.core.decision import Situation, advise, decide
from guard.daemon.act import Actor
from guard.daemon.analyse import Analysis, Opinion
from guard.daemon.clock import Clock
from guard.daemon.drain import Drain
from guard.daemon.in_flight import InFlight
from guard.daemon.intake import Intake
from guard.daemon.measure import Measurements
from guard.daemon.observe import Observation
from guard.daemon.parts import Parts, policy_of
from guard.daemon.progress import ACTION_FAILED, Progress
from guard.daemon.promotion import Promotion
from guard.daemon.recorded_decision import Decision
from guard.daemon.rollback import Rollback
from guard.daemon.situations import Situations
from guard.daemon.stages import Stages, StartSuite
from guard.daemon.steps import Steps
from guard.errors import TidegateError


class ChangeRun:
    """Call `tick()` at least once a second, and whenever something was measured.

    Attributes:
        intent: What an operator asks for now.
        edited: The Change's spec is not the one that it began with.
        clock_offset: Turns monotonic seconds, which samples have, into Unix seconds.
    """

    def __init__(
        self,
        name: str,
        spec: ChangeSpec,
        progress: Progress,
        *,
        look: Callable[[], Observation],
        actor: Actor,
        measurements: Measurements,
        start_suite: StartSuite,
        save: Callable[[Progress], None],
        api_key: str | None = None,
        clock: Clock | None = None,
        in_flight: InFlight | None = None,
    ) -> None:
        clock, guard = clock or Clock(), spec.plan.guard
        self.name = name
        self.progress = progress
        self.intent: Intent | None = None
        self.edited = False
        self.analysis = Analysis(guard)
        self.clock_offset = clock.offset()
        self._policy = policy_of(spec)
        self._clock = clock
        self._in_flight = in_flight or InFlight(partial(_requests_in_flight, guard.target.runtime))
        self._resuming = progress.phase is not Phase.PENDING
        stages = Stages(guard.target.runtime.port, api_key, start_suite, clock)
        self._parts = parts = Parts(
            name, spec, progress, look, actor, measurements, self.analysis, stages, save, clock,
            self.clock_offset,
        )  # fmt: skip
        self._intake = Intake(parts)
        drain = Drain(guard, measurements, self.analysis, self._in_flight)
        self._situations = Situations(parts, drain, api_key)
        self._steps = Steps(parts)
        self._rollback = Rollback(parts)
        self._promotion = Promotion(parts)
        measurements.start()

    @property
    def results(self) -> list[tuple[str, SuiteResult]]:
        """(stage, result) of every suite that ended, in order."""
        return self._parts.stages.results

    @property
    def live_checks(self) -> list[tuple[int, tuple[Check, ...]]]:
        """(step, checks): what the rule said of each step that ended."""
        return self.analysis.live_checks

    @property
    def weights(self) -> list[tuple[float, int]]:
        """(Unix seconds, canary's percent) at each change of the route's weight."""
        return self._intake.weights

    @property
    def guard_name(self) -> str:
        return self._parts.spec.guard

    @property
    def guard_steps(self) -> list[int]:
        """The plan's weights in percent."""
        return [step.weight_percent for step in self._policy.steps]

    @property
    def enforces(self) -> bool:
        return self._policy.enforce

    @property
    def finished(self) -> bool:
        return self.progress.phase is Phase.FINISHED

    def stop(self) -> None:
        """Ends measurements and suites; leaves the cluster as it is."""
        self._parts.measurements.stop()
        self._in_flight.stop()
        self._parts.stages.kill()

    def tick(self) -> None:
        """One round. A fault of the API is noted and tried again at the next tick; an end is final."""
        if self.finished:
            return
        now, mono = self._clock.unix(), self._clock.monotonic()
        seen = self._observe(now, mono)
        opinion = self._steps.opinion(now, mono)
        situation = self._situations.at(now, seen, opinion, self.intent, self.edited)
        action = self._decide(situation, opinion)
        self._act(action, seen, opinion, now, mono)
        self._parts.save(self.progress)
        if self.finished:
            self.stop()

    def _observe(self, now: float, mono: float) -> Observation:
        seen = self._parts.look()
        self._intake.take(seen, now, mono)
        self._promotion.notice(seen)
        if self._resuming:
            self._resume(seen, now, mono)
        self._steps.watch_baseline(seen, now, mono)
        return seen

    def _decide(self, situation: Situation, opinion: Opinion) -> actions.Action:
        action = decide(situation, self._policy)
        if self._policy.enforce:
            return action
        self._remember_what_would_be_done(action, opinion, situation.now)
        return advise(situation, self._policy)

    def _act(
        self, action: actions.Action, seen: Observation, opinion: Opinion, now: float, mono: float
    ) -> None:
        try:
            self._perform(action, seen, opinion, now, mono)
        except TidegateError as error:
            self.progress.reason, self.progress.message = ACTION_FAILED, str(error)
            self._parts.say(ACTION_FAILED, str(error))

    def _perform(
        self, action: actions.Action, seen: Observation, opinion: Opinion, now: float, mono: float
    ) -> None:
        match action:
            case actions.Wait(reason, message):
                self.progress.reason, self.progress.message = reason, message
                self._steps.retry_suites(reason, seen, now)
            case actions.Refuse(reason, message):
                self._rollback.leave_claimed_route()
                self.progress.end(Reason.REFUSED, now, f"{reason}: {message}")
            case actions.StartTesting():
                self._steps.start_testing(seen, now)
            case actions.EnterStep(step, weight):
                self._steps.enter(step, weight, seen, now, mono)
            case actions.RollBack():
                if not self._promotion.returned():
                    self._rollback.perform(action, opinion, now)
            case actions.FinishRollback():
                self._rollback.finish(now)
            case actions.FinishObserved(message):
                self.progress.end(Reason.OBSERVED, now, message)
            case _:
                self._promotion.perform(action, now)

    def _remember_what_would_be_done(self, action: actions.Action, opinion: Opinion, now: float) -> None:
        """Advise: the first thing that could not have been taken back, unless an operator asks for it."""
        if self.progress.would_have is not None or self.intent is Intent.CLOSE:
            return
        match action:
            case actions.RollBack(reason, message, check, abandoned=False):
                signal = (check.signal or check.name) if check else None
                at = self._parts.unix(opinion.sample_at, now)
                self.progress.would_have = Decision("RollBack", reason, message, now, signal, at)
                self._parts.say("WouldRollBack", message, now)
            case actions.BeginPromotion(reason, message):
                self.progress.would_have = Decision("Promote", reason, message, now)
                self._parts.say("WouldPromote", message, now)

    def _resume(self, seen: Observation, now: float, mono: float) -> None:
        self._resuming = False
        self._parts.say("Resumed", f"a new guard goes on in phase {self.progress.phase}", now)
        self._steps.resume(seen, now, mono)
        if self.progress.phase is Phase.ROLLING_BACK and self.progress.patched_at is not None:
            self._rollback.verify_stable(seen)


def _requests_in_flight(runtime: Runtime, endpoint: Endpoint) -> int | None:
    return requests_in_flight(endpoint, runtime.type, runtime.metrics_path)
