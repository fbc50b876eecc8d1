"""What the parts of one Change's run share: the frozen plan, what is known so far, and the hands that act.

Refuses to do anything with them: `intake`, `situations`, `steps`, `rollback` and `promotion` do.
"""

from collections.abc import Callable
from dataclasses import dataclass

from guard.api.change import ChangeSpec
from guard.api.fields import seconds
from guard.api.guard import GuardSpec
from guard.core.decision import Policy, Step
from guard.daemon.act import Actor
from guard.daemon.analyse import Analysis
from guard.daemon.clock import Clock
from guard.daemon.measure import Measurements
from guard.daemon.observe import Observation
from guard.daemon.progress import Progress
from guard.daemon.stages import Stages


@dataclass(frozen=True)
class Parts:
    """One Change's.

    Attributes:
        look: The target as it is now.
        save: Writes the progress into the Change's status.
        clock_offset: Turns monotonic seconds into Unix seconds.
    """

    name: str
    spec: ChangeSpec
    progress: Progress
    look: Callable[[], Observation]
    actor: Actor
    measurements: Measurements
    analysis: Analysis
    stages: Stages
    save: Callable[[Progress], None]
    clock: Clock
    clock_offset: float

    @property
    def guard(self) -> GuardSpec:
        return self.spec.plan.guard

    @property
    def enforces(self) -> bool:
        return self.guard.enforcement == "Enforce"

    def taken_by(self, seen: Observation) -> str | None:
        """The other Change on the route of one that has claimed it, as the watch tells; None without one."""
        route = seen.route
        ours = route is None or not self.enforces or route.change in (self.name, None)
        return None if ours or route is None else route.change

    def say(self, kind: str, message: str, at: float | None = None) -> None:
        """A line of the timeline, `at` Unix seconds; now, where something was written meanwhile."""
        self.progress.say(self.clock.unix() if at is None else at, kind, message)

    def unix(self, monotonic: float | None, now: float) -> float | None:
        """Never later than `now`: the readings of two clocks lie microseconds apart."""
        return None if monotonic is None else min(now, monotonic + self.clock_offset)


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
