"""What deciding needs to know of one Change at one moment, gathered from everything that is known.

Owns how long the canary has been without endpoints, and which verdicts count in which phase. Refuses to
decide (`guard.core.decision`).
"""

from guard.adapters.workloads import same_template
from guard.core.change import Intent, Phase
from guard.core.decision import Situation
from guard.core.samples import Arm
from guard.core.verdict import Verdict
from guard.daemon.admission import hold, refusal
from guard.daemon.analyse import Opinion
from guard.daemon.drain import Drain
from guard.daemon.observe import Observation
from guard.daemon.parts import Parts

ABSENT_SECONDS = 5.0  # arbitrary: a container's restart takes about a second


class Situations:
    """One Change's."""

    def __init__(self, parts: Parts, drain: Drain, api_key: str | None) -> None:
        self._parts = parts
        self._drain = drain
        self._api_key = api_key
        self._absent_since: float | None = None
        self._drained = False

    def at(
        self, now: float, seen: Observation, opinion: Opinion, intent: Intent | None, edited: bool
    ) -> Situation:
        """The situation now.

        Args:
            edited: The Change's spec is not the one that it began with.
        """
        progress, spec = self._parts.progress, self._parts.spec
        done, pending = self._parts.stages.done, progress.phase is Phase.PENDING
        return Situation(
            now=now,
            phase=progress.phase,
            step=progress.step,
            entering=progress.entering,
            opened_at=progress.opened_at,
            stage_started_at=progress.stage_started_at,
            weight_percent=progress.weight_percent,
            verdict=_counting(opinion.verdict, progress.phase, done),
            deciding=opinion.deciding,
            forming=_forming(opinion),
            suites_done=done,
            canary_ready=seen.canary.ready and seen.stable.ready,
            refusal=refusal(self._parts.name, spec, seen, edited) if pending else None,
            hold=hold(spec, progress.phase, seen, edited),
            intent=intent,
            returned=progress.patched_at is not None,
            canary_absent=self._canary_absent(seen, now),
            quiet=self._quiet(now, seen),
            stable_has_template=same_template(spec.plan.canary_template, seen.stable.template),
            stable_ready=seen.stable.ready,
            canary_put_away=self._canary_put_away(seen),
        )

    def _canary_put_away(self, seen: Observation) -> bool:
        """Scaled down, deleted, or replaced by the next change's, which is not ours to put away."""
        if seen.canary.deployment is None or seen.canary.scaled_down:
            return True
        return not same_template(self._parts.spec.plan.canary_template, seen.canary.template)

    def _canary_absent(self, seen: Observation, now: float) -> bool:
        """The canary has had traffic and no endpoint for a while; a watch or a restart may lag."""
        if seen.canary.addresses or not self._parts.progress.weight_percent:
            self._absent_since = None
            return False
        self._absent_since = self._absent_since or now
        return now - self._absent_since >= ABSENT_SECONDS

    def _quiet(self, now: float, seen: Observation) -> bool:
        progress, runtime = self._parts.progress, self._parts.guard.target.runtime
        known = self._drained or progress.quiet_at is not None
        canaries = seen.endpoints(runtime.port, self._api_key)[Arm.CANARY]
        other = self._used_by(seen)
        self._drained = other is not None or self._drain.quiet(
            progress, now, self._parts.clock_offset, canaries
        )
        if self._drained and not known:
            self._parts.say(*_end_of_drain(progress.quiet_at is not None, other), now)
        return self._drained

    def _used_by(self, seen: Observation) -> str | None:
        """The other Change that gives its users to the canary by now: whose they are, nobody can tell."""
        progress = self._parts.progress
        returned = progress.phase is Phase.ROLLING_BACK and progress.patched_at is not None
        traffic = seen.route is not None and seen.route.weight_percent > 0
        return self._parts.taken_by(seen) if returned and traffic else None


def _end_of_drain(quiet: bool, other: str | None) -> tuple[str, str]:
    """A line of the timeline."""
    if quiet:
        return "Quiet", "no new user request reaches the canary"
    if other is not None:
        return "QuietUnknown", f"change {other} holds the route now, and gives the canary traffic"
    why = "nobody could see whether users' requests reach the canary"
    return "QuietUnknown", f"drain.timeout is over, and {why}"


def _forming(opinion: Opinion) -> str:
    """What is known of errors so far, and the live check that keeps the stage from PASS."""
    errors = [check for check in opinion.live if check.signal == "errors"]
    counted = [check for check in errors if check.samples] or errors
    found = [*counted[:1], *(check for check in opinion.live if check == opinion.deciding)]
    return "; ".join(dict.fromkeys(check.reason for check in found))


def _counting(verdict: Verdict, phase: Phase, suites_done: bool) -> Verdict | None:
    """While suites still run, only a FAIL counts; draining and rolling back are not judged."""
    if phase is Phase.PROMOTING:
        return Verdict.FAIL if verdict is Verdict.FAIL else Verdict.PASS
    if phase in (Phase.PENDING, Phase.ROLLING_BACK, Phase.FINISHED):
        return None
    return verdict if verdict is Verdict.FAIL or suites_done else None
