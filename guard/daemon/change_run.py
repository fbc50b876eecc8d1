"""One Change on its way: observe, analyse, decide, act, once a tick.

Owns what this process knows of the Change beyond its status: measurements, evidence, suites under way.
Everything a successor needs stands in the status and on the route. Refuses to judge (`analyse`), to decide
(`guard.core.decision`) and to write to the cluster by itself (`act`, `status`).
"""

from collections.abc import Callable
from functools import partial

from guard.adapters.endpoint import Endpoint
from guard.adapters.signals.pods import requests_in_flight
from guard.adapters.workloads import same_template
from guard.api.change import ChangeSpec, plan_digest
from guard.api.fields import seconds
from guard.api.guard import Runtime
from guard.core import decision as actions
from guard.core.blocks import PodEvent
from guard.core.change import Intent, Phase, Reason, RoutePhase
from guard.core.check import Check, SuiteResult
from guard.core.decision import Policy, Situation, Step, advise, decide, step_at
from guard.core.samples import Arm
from guard.core.verdict import Verdict
from guard.daemon.act import Actor
from guard.daemon.admission import baseline_changed, hold, refusal
from guard.daemon.analyse import Analysis, Opinion
from guard.daemon.clock import Clock
from guard.daemon.drain import Drain
from guard.daemon.in_flight import InFlight
from guard.daemon.measure import Measurements
from guard.daemon.observe import Observation, PodWatch
from guard.daemon.progress import Decision, Progress
from guard.daemon.stages import Stages, StartSuite
from guard.errors import TidegateError

RETRY_SUITES_SECONDS = 60.0

ABSENT_SECONDS = 5.0  # arbitrary: a container's restart takes about a second
BEFORE_TRAFFIC, AFTER_ROLLBACK = "before-traffic", "after-rollback"


class ChangeRun:
    """Call `tick()` at least once a second, and whenever something was measured."""

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
        clock = clock or Clock()
        self.name = name
        self.progress = progress
        self.intent: Intent | None = None
        self.edited = False  # the Change's spec is not the one that it began with
        self.analysis = Analysis(spec.plan.guard)
        self.live_checks: list[tuple[int, tuple[Check, ...]]] = []
        self.weights: list[tuple[float, int]] = []
        self.clock_offset = clock.offset()
        self._spec = spec
        self._guard = spec.plan.guard
        self._clock = clock
        self._policy = policy_of(spec)
        self._look = look
        self._actor = actor
        self._measurements = measurements
        self._save = save
        self._api_key = api_key
        self._in_flight = in_flight or InFlight(partial(_requests_in_flight, self._guard.target.runtime))
        self._drain = Drain(self._guard, measurements, self.analysis, self._in_flight)
        self._resuming = progress.phase is not Phase.PENDING
        self._stages = Stages(self._guard.target.runtime.port, api_key, start_suite, clock)
        self._pods = {arm: PodWatch(arm, self.clock_offset) for arm in (Arm.BASELINE, Arm.CANARY)}
        self._absent_since: float | None = None
        self._confounded: str | None = None
        self._template_reported = False
        self._verifying = False
        measurements.start()

    @property
    def results(self) -> list[tuple[str, SuiteResult]]:
        """(stage, result) of every suite that ended, in order."""
        return self._stages.results

    @property
    def guard_name(self) -> str:
        return self._spec.guard

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
        self._measurements.stop()
        self._in_flight.stop()
        self._stages.kill()

    def tick(self) -> None:
        """One round. A fault of the API is noted and tried again at the next tick."""
        now, mono = self._clock.unix(), self._clock.monotonic()
        seen = self._look()
        self._feed(seen, mono)
        if self._resuming:
            self._resume(seen, now, mono)
        self._watch_baseline(seen, now, mono)
        opinion = self._opinion(now, mono)
        situation = self._situation(now, seen, opinion)
        chosen = decide(situation, self._policy) if self._policy.enforce else advise(situation, self._policy)
        if not self._policy.enforce:
            self._remember_what_would_be_done(decide(situation, self._policy), opinion, now)
        try:
            self._perform(chosen, seen, opinion, now, mono)
        except TidegateError as error:
            self.progress.reason, self.progress.message = "ActionFailed", str(error)
            self._say("ActionFailed", str(error))
        self._save(self.progress)

    # -- observe and analyse

    def _feed(self, seen: Observation, mono: float) -> None:
        self.analysis.take(self._measurements.take(), mono)
        events = self._pods[Arm.BASELINE].events(mono, seen.stable.replicas)
        events += self._pods[Arm.CANARY].events(mono, seen.canary.replicas)
        if self.progress.phase is not Phase.ROLLING_BACK and self.progress.patched_at is None:
            events += self._template_events(seen, mono)
        self.analysis.take_events(events)
        weight = seen.route.weight_percent if seen.route else self.progress.weight_percent
        if not self.weights or self.weights[-1][1] != weight:
            self.weights.append((mono + self.clock_offset, weight))
        self.progress.weight_percent = weight
        if (
            self.progress.phase is Phase.PROMOTING
            and self.progress.patched_at is None
            and self._promoted(seen)
        ):
            self._note_returned()  # by a patch whose answer was lost, or whose writer died

    def _promoted(self, seen: Observation) -> bool:
        return seen.route is not None and (seen.route.phase, seen.route.change) == (
            RoutePhase.PROMOTED,
            self.name,
        )

    def _template_events(self, seen: Observation, mono: float) -> list[PodEvent]:
        """The canary's template is not the one that was opened: what runs is not what was planned."""
        if self._template_reported or not seen.canary.template or self.progress.phase is Phase.PENDING:
            return []
        if plan_digest(self._guard, seen.canary.template) == self._spec.plan.digest:
            return []
        self._template_reported = True
        return [PodEvent(mono, Arm.CANARY, "", "fingerprint", "the canary's pod template is not the plan's")]

    def _opinion(self, now: float, mono: float) -> Opinion:
        self._note_result(now)
        phase = self.progress.phase
        live = phase is Phase.PROGRESSING or (phase is Phase.PROMOTING and self.progress.weight_percent > 0)
        ended = phase is Phase.PROGRESSING and now >= self._stage_ends_at()
        blind = self._measurements.blind_because(mono) if live else None
        return self.analysis.opinion(mono, self._stages.current, live, ended, blind, self._confounded)

    def _watch_baseline(self, seen: Observation, now: float, mono: float) -> None:
        """While the stable is not the plan's, nothing is compared; then the stage begins anew."""
        if self.progress.phase not in (Phase.TESTING, Phase.PROGRESSING):
            self._confounded = None
            return
        changed = baseline_changed(self._spec, seen)
        if changed:
            self._confounded = changed[1]
            self._say(*changed, now)
        elif self._confounded and seen.stable.ready:
            self._confounded = None
            self._say("BaselineRestored", "the stable is as planned again; this stage begins anew", now)
            self.analysis.forget()
            self._begin_stage(seen, now, mono)

    def _note_result(self, now: float) -> None:
        arrived = self._stages.poll()
        if arrived is None:
            return
        stage, result = arrived
        self.progress.suites.append({"stage": stage, "suite": result.suite, "verdict": str(result.verdict)})
        self._say("SuiteFinished", f"{result.suite} ({stage}): {result.verdict}", now)

    def _situation(self, now: float, seen: Observation, opinion: Opinion) -> Situation:
        progress = self.progress
        done = self._stages.done
        if progress.phase in (Phase.TESTING, Phase.PROGRESSING):
            progress.verdict = opinion.verdict
        return Situation(
            now=now,
            phase=progress.phase,
            step=progress.step,
            opened_at=progress.opened_at,
            stage_started_at=progress.stage_started_at,
            weight_percent=progress.weight_percent,
            verdict=self._verdict_for(opinion, done),
            deciding=opinion.deciding,
            suites_done=done,
            canary_ready=seen.canary.ready and seen.stable.ready,
            refusal=refusal(self.name, self._spec, seen, self.edited),
            hold=hold(self._spec, progress.phase, seen, self.edited),
            intent=self.intent,
            returned=progress.patched_at is not None,
            canary_absent=self._canary_absent(seen, now),
            quiet=self._quiet(now, seen),
            stable_has_template=same_template(self._spec.plan.canary_template, seen.stable.template),
            stable_ready=seen.stable.ready,
            canary_put_away=seen.canary.scaled_down or self._canary_replaced(seen),
        )

    def _canary_replaced(self, seen: Observation) -> bool:
        """The next change's canary has been applied: it is not ours to put away."""
        planned = self._spec.plan.canary_template
        return seen.canary.deployment is not None and not same_template(planned, seen.canary.template)

    def _canary_absent(self, seen: Observation, now: float) -> bool:
        """The canary has had traffic and no endpoint for a while; a watch or a restart may lag."""
        if seen.canary.addresses or not seen.route or not self.progress.weight_percent:
            self._absent_since = None
            return False
        self._absent_since = self._absent_since or now
        return now - self._absent_since >= ABSENT_SECONDS

    def _verdict_for(self, opinion: Opinion, suites_done: bool) -> Verdict | None:
        """While suites still run, only a FAIL counts; draining and rolling back are not judged."""
        phase = self.progress.phase
        if phase is Phase.PROMOTING:
            return Verdict.FAIL if opinion.verdict is Verdict.FAIL else Verdict.PASS
        if phase in (Phase.PENDING, Phase.ROLLING_BACK, Phase.FINISHED):
            return None
        if opinion.verdict is Verdict.FAIL or suites_done:
            return opinion.verdict
        return None

    def _quiet(self, now: float, seen: Observation) -> bool:
        known = self.progress.quiet_at is not None
        canaries = seen.endpoints(self._guard.target.runtime.port, self._api_key)[Arm.CANARY]
        quiet = self._drain.quiet(self.progress, now, self.clock_offset, canaries)
        if quiet and not known:
            self._say("Quiet", "no new user request reaches the canary", now)
        return quiet

    # -- act

    def _perform(
        self, action: actions.Action, seen: Observation, opinion: Opinion, now: float, mono: float
    ) -> None:
        match action:
            case actions.Wait(reason, message):
                self.progress.reason, self.progress.message = reason, message
                self._retry_suites(reason, seen, now)
            case actions.Refuse(reason, message):
                if seen.route and seen.route.change == self.name and self._policy.enforce:
                    self._actor.finish(RoutePhase.ROLLED_BACK)  # claimed by a predecessor that died
                self._end(Reason.REFUSED, f"{reason}: {message}", now)
            case actions.StartTesting():
                self._start_testing(seen, now)
            case actions.EnterStep(step, weight):
                self._enter_step(step, weight, seen, now, mono)
            case actions.RollBack():
                self._roll_back(action, opinion, now)
            case actions.FinishRollback():
                self._finish_rollback(now)
            case actions.FinishObserved(message):
                self._end(Reason.OBSERVED, message, now)
            case _:
                self._promote(action, now)

    def _start_testing(self, seen: Observation, now: float) -> None:
        if self._policy.enforce:
            self._actor.claim()
        self._enter(
            Phase.TESTING, now, "TestingBeforeTraffic", "the canary is ready; suites before traffic begin"
        )
        self._stages.compare(BEFORE_TRAFFIC, self._guard.suites.before_traffic, seen)

    def _enter_step(self, step: int, weight: int, seen: Observation, now: float, mono: float) -> None:
        if self._policy.enforce:
            self._actor.set_weight(weight, RoutePhase.PROGRESSING)
            self.progress.weight_percent = weight
        if self.progress.phase is Phase.PROGRESSING:
            self._keep_live_checks(mono)
        self.progress.step = step
        self._enter(
            Phase.PROGRESSING,
            now,
            "StepEntered",
            f"step {step + 1} of {len(self._policy.steps)}: {weight} % of the traffic goes to the canary",
        )
        self._begin_step(seen, now, mono)

    def _begin_step(self, seen: Observation, now: float, mono: float) -> None:
        planned = self._guard.steps[self.progress.step]
        self.progress.stage_started_at = now
        weight = self.progress.weight_percent
        self.analysis.start_step(mono, weight, seconds(planned.hold), planned.min_requests)
        self._measurements.probes.resume()
        self._stages.compare(f"step-{self.progress.step + 1}", self._guard.suites.on_step, seen)

    def _begin_stage(self, seen: Observation, now: float, mono: float) -> None:
        """The stage under way, from its beginning."""
        if self.progress.phase is Phase.TESTING:
            self.progress.stage_started_at = now
            self._stages.compare(BEFORE_TRAFFIC, self._guard.suites.before_traffic, seen)
        else:
            self._begin_step(seen, now, mono)

    def _keep_live_checks(self, mono: float) -> None:
        """What the rule says of the step that ends now, for the record."""
        self.live_checks.append((self.progress.step, self.analysis.live(mono, True).checks))

    def _roll_back(self, action: actions.RollBack, opinion: Opinion, now: float) -> None:
        if self.progress.phase is Phase.PENDING:
            self._end(Reason.ABANDONED, action.message, now)
            return
        if self.progress.phase is not Phase.ROLLING_BACK:
            self._decide_rollback(action, opinion, now)
            self._save(self.progress)  # the intent first: a successor goes on from it
        if self._actor.roll_back():
            self.progress.patched_at = self.progress.patched_at or self._clock.unix()
            self.progress.weight_percent = 0
            self._verify_stable(self._look())
            if self.progress.step >= 0:
                self._say("TrafficReturned", "all traffic goes to the stable")
        else:
            self._say("StableRestoring", "the stable gets its template from before; the traffic waits for it")

    def _verify_stable(self, seen: Observation) -> None:
        """Once: a watch that lags behind our patch, or another's write, does not begin the suites anew."""
        if not self._verifying:
            self._verifying = True
            self._stages.verify_stable(AFTER_ROLLBACK, self._guard.suites.after_rollback, seen)

    def _decide_rollback(self, action: actions.RollBack, opinion: Opinion, now: float) -> None:
        progress = self.progress
        self._measurements.probes.pause()  # a suite under way is ended later: the traffic goes first
        from_traffic = action.check is not None and action.check in opinion.live
        progress.decision = Decision(
            action="Abandon" if action.abandoned else "RollBack",
            reason=action.reason,
            message=action.message,
            at=now,
            signal=action.check.signal or action.check.name if action.check else None,
            sample_at=self._unix(opinion.sample_at) if from_traffic else None,
            fault_at=self._unix(opinion.fault_at) if from_traffic else None,
            abandoned=action.abandoned,
        )
        progress.verdict = opinion.verdict
        self.live_checks.append((progress.step, opinion.live))
        self._enter(Phase.ROLLING_BACK, now, action.reason, action.message)

    def _finish_rollback(self, now: float) -> None:
        self._actor.finish(RoutePhase.ROLLED_BACK)
        decision = self.progress.decision
        abandoned = decision is not None and decision.abandoned
        why = decision.message if decision else self.progress.message
        self._end(Reason.ABANDONED if abandoned else Reason.ROLLED_BACK, why + self._stable_in_words(), now)

    def _stable_in_words(self) -> str:
        """Nothing where the suites after the rollback passed."""
        found = [
            f"{result.suite} {result.verdict} ({_why(result)})"
            for stage, result in self.results
            if stage == AFTER_ROLLBACK and result.verdict is not Verdict.PASS
        ]
        return f"; but the stable did not pass its suites afterwards: {', '.join(found)}" if found else ""

    def _promote(self, action: actions.Action, now: float) -> None:
        progress = self.progress
        match action:
            case actions.BeginPromotion():
                progress.decision = Decision("Promote", "Promoting", "every step passed", now)
                self._keep_live_checks(self._clock.monotonic())
                self._actor.set_weight(progress.weight_percent, RoutePhase.PROMOTING)
                self._stages.kill()
                self._enter(Phase.PROMOTING, now, "Promoting", "the stable takes the canary's pod template")
            case actions.CopyTemplate():
                self._actor.copy_template()
            case actions.ReturnWeight():
                self._actor.set_weight(0, RoutePhase.PROMOTED)
                self._note_returned()
            case actions.ScaleDownCanary():
                self._actor.scale_down_canary()
            case actions.FinishPromotion():
                self._end(Reason.PROMOTED, "promoted; " + self._proof(), now)

    def _note_returned(self) -> None:
        self.progress.patched_at = self._clock.unix()
        self.progress.weight_percent = 0
        self._measurements.probes.pause()
        self._say("WeightReturned", "the stable runs the new template and has all traffic")

    def _proof(self) -> str:
        """What a promotion under NoHarmFound rests on: the power that the record must state."""
        found = [c.reason for _, result in self.results for c in result.checks if c.name == "eval-paired"]
        return "without proof of equality" + (f": {found[-1]}" if found else "")

    # -- bookkeeping

    def _remember_what_would_be_done(self, action: actions.Action, opinion: Opinion, now: float) -> None:
        """Advise: the first thing that could not have been taken back, unless an operator asks for it."""
        if self.progress.would_have is not None or self.intent is Intent.CLOSE:
            return
        match action:
            case actions.RollBack(reason, message, check, abandoned=False):
                signal = (check.signal or check.name) if check else None
                at = self._unix(opinion.sample_at)
                self.progress.would_have = Decision("RollBack", reason, message, now, signal, at)
                self._say("WouldRollBack", message, now)
            case actions.BeginPromotion():
                self.progress.would_have = Decision("Promote", "Promoting", "every step passed", now)
                self._say("WouldPromote", "every step passed", now)

    def _retry_suites(self, reason: str, seen: Observation, now: float) -> None:
        """A stage held by an error or by silence: ask again, the trouble may be over.

        Never after INCONCLUSIVE: asking until the answer pleases is no test.
        """
        done_at = self._stages.done_at
        if reason not in ("HeldOnError", "HeldOnNoData") or done_at is None:
            return
        if now - done_at < RETRY_SUITES_SECONDS:
            return
        if self.progress.phase is Phase.TESTING:
            self._stages.compare(BEFORE_TRAFFIC, self._guard.suites.before_traffic, seen)
        elif self.progress.phase is Phase.PROGRESSING:
            self._stages.compare(f"step-{self.progress.step + 1}", self._guard.suites.on_step, seen)

    def _stage_ends_at(self) -> float:
        return self.progress.stage_started_at + self._policy.steps[self.progress.step].hold_seconds

    def _enter(self, phase: Phase, now: float, reason: str, message: str) -> None:
        self.progress.phase = phase
        self.progress.stage_started_at = now
        self.progress.reason, self.progress.message = reason, message
        self._say(reason, message, now)

    def _end(self, reason: Reason, message: str, now: float) -> None:
        self.progress.phase = Phase.FINISHED
        self.progress.ended = reason
        self.progress.finished_at = now
        self.progress.reason, self.progress.message = str(reason), message
        self._say(str(reason), message, now)
        self.stop()

    def _say(self, kind: str, message: str, now: float | None = None) -> None:
        last = self.progress.timeline[-1] if self.progress.timeline else None
        if last is None or (last.kind, last.message) != (kind, message):
            self.progress.note(self._clock.unix() if now is None else now, kind, message)

    def _unix(self, mono: float | None) -> float | None:
        return None if mono is None else mono + self.clock_offset

    def _resume(self, seen: Observation, now: float, mono: float) -> None:
        """Starts again what a predecessor had under way: the evidence of its stage died with it."""
        self._resuming = False
        progress = self.progress
        self._say("Resumed", f"a new guard goes on in phase {progress.phase}", now)
        if progress.phase is Phase.TESTING and progress.weight_percent > 0:
            # It died after the first step's patch: users are on the canary, so they are what is judged.
            progress.phase, progress.step = (
                Phase.PROGRESSING,
                step_at(progress.weight_percent, self._policy.steps),
            )
        if progress.phase in (Phase.TESTING, Phase.PROGRESSING):
            self._begin_stage(seen, now, mono)
        elif progress.phase is Phase.ROLLING_BACK and progress.patched_at is not None:
            self._verify_stable(seen)


def _why(result: SuiteResult) -> str:
    """The suite's own error, or its first check of that verdict."""
    reasons = (check.reason for check in result.checks if check.verdict is result.verdict)
    return result.error or next(reasons, "no check ran")


def _requests_in_flight(runtime: Runtime, endpoint: Endpoint) -> int | None:
    return requests_in_flight(endpoint, runtime.type, runtime.metrics_path)


def policy_of(spec: ChangeSpec) -> Policy:
    """The frozen plan, as deciding needs it."""
    guard = spec.plan.guard
    return Policy(
        enforce=guard.enforcement == "Enforce",
        steps=tuple(Step(step.weight, seconds(step.hold)) for step in guard.steps),
        roll_back_when_inconclusive=guard.on_inconclusive == "Rollback",
        provisioning_deadline_seconds=seconds(guard.deadlines.provisioning),
        step_deadline_seconds=seconds(guard.deadlines.step),
        change_deadline_seconds=seconds(guard.deadlines.change),
    )
