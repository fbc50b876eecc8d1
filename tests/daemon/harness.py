"""One Change without a cluster: a scripted target, measurements, suites and clock."""

import copy
from dataclasses import dataclass, field
from typing import Any

from guard.adapters.endpoint import Endpoint
from guard.adapters.routers.httproute import Backend, RouteState, Split
from guard.adapters.workloads import Address, Replica, same_template
from guard.api.change import ChangeSpec, Plan, freeze
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.api.suites import Suite
from guard.core.blocks import CounterBlock
from guard.core.change import RoutePhase
from guard.core.check import Check, SuiteResult
from guard.core.samples import Arm, Source
from guard.core.verdict import Verdict
from guard.daemon.change_run import ChangeRun
from guard.daemon.clock import Clock
from guard.daemon.measure import Batch
from guard.daemon.observe import Observation, Side
from guard.daemon.progress import Progress
from guard.errors import UnreachableError

START = 1_800_000_000.0
STABLE = {
    "spec": {"containers": [{"args": ["--ctx-size=2048"]}]},
    "metadata": {"labels": {"track": "stable"}},
}
CANARY = {"spec": {"containers": [{"args": ["--ctx-size=224"]}]}, "metadata": {"labels": {"track": "canary"}}}

GUARD = {
    "enforcement": "Enforce",
    "target": {
        "runtime": {"type": "llama.cpp", "models": ["m"], "port": 9},  # nothing listens there
        "route": {"name": "chat"},
        "stable": {"workload": {"name": "chat-stable"}, "service": "chat-stable"},
        "canary": {"workload": {"name": "chat-canary"}, "service": "chat-canary"},
    },
    "signals": {"gateway": {"type": "Traefik", "url": "http://gateway:9100/metrics"}},
    "suites": {
        "beforeTraffic": [{"name": "smoke"}, {"name": "eval"}],
        "onStep": [{"name": "smoke"}],
        "afterRollback": [{"name": "smoke"}],
    },
    "steps": [
        {"weight": 10, "hold": "20s", "minRequests": 1},
        {"weight": 50, "hold": "20s", "minRequests": 5},
        {"weight": 100, "hold": "20s", "minRequests": 5},
    ],
    "deadlines": {"step": "10m", "change": "1h", "provisioning": "2m"},
}


class Turned:
    """A clock that only the test moves; `apart` is how much later its monotonic half is read."""

    def __init__(self) -> None:
        self.now = START
        self.apart = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now - START + self.apart)


class Probes:
    def __init__(self) -> None:
        self.active = False

    def resume(self) -> None:
        self.active = True

    def pause(self) -> None:
        self.active = False


class Measurements:
    """What a test says was measured."""

    def __init__(self) -> None:
        self.probes = Probes()
        self.last_canary_request_at: float | None = None
        self.seen_from: float | None = float("-inf")
        self.seen_until: float | None = float("inf")
        self.batch = Batch()
        self.blind: str | None = None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def blind_because(self, now: float) -> str | None:
        return self.blind

    def take(self) -> Batch:
        batch, self.batch = self.batch, Batch()
        return batch


class Streams:
    """Requests that the canary's pods still work on."""

    def __init__(self) -> None:
        self.open: int | None = 0

    def count(self, endpoints: Any, now: float) -> int | None:
        return self.open

    def stop(self) -> None:
        pass


@dataclass
class Target:
    """Route and workloads as the guard finds and changes them; every write is in `writes`."""

    weight: int = 0
    phase: RoutePhase | None = None
    change: str | None = None
    stable: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(STABLE))
    canary: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CANARY))
    canary_replicas: int = 1
    canary_ready: bool = True
    canary_exists: bool = True
    route_readable: bool = True
    stable_starts: bool = True  # on the promoted template; on its own it always does
    restarts: int = 0
    ready_at: float = START - 600.0
    writes: list[str] = field(default_factory=list)
    fail_with: Exception | None = None
    lagging: Observation | None = None  # what a watch still shows
    lose_answers: bool = False  # writes are done, and nobody is told

    def look(self) -> Observation:
        return self.lagging or self._now()

    def _now(self) -> Observation:
        backends = [
            Backend(f"/b/{i}", name, weight, True)
            for i, (name, weight) in enumerate(
                (("chat-stable", 100 - self.weight), ("chat-canary", self.weight))
            )
        ]
        route = RouteState("ns", "chat", "u", "1", True, self.phase, self.change, (Split(*backends),))
        canary = self._side(self.canary, self.canary_replicas, self.canary_ready, self.restarts)
        return Observation(
            route if self.route_readable else None,
            self._side(self.stable, 1, self.stable_ready, 0),
            canary if self.canary_exists else Side(None, (), ()),
        )

    @property
    def stable_ready(self) -> bool:
        return self.stable_starts or same_template(self.stable, STABLE)

    def _side(self, template: dict[str, Any], count: int, ready: bool, restarts: int) -> Side:
        available = count if ready else 0
        status = {"replicas": count, "updatedReplicas": count, "availableReplicas": available}
        deployment = {
            "metadata": {"generation": 1},
            "spec": {"replicas": count, "template": template},
            "status": {**status, "observedGeneration": 1},
        }
        pod = Replica("pod", "127.0.0.1", ready, restarts, frozenset(), self.ready_at if ready else None)
        pods = (pod,) if count else ()
        return Side(deployment, pods, (Address("127.0.0.1", "pod"),) if count and ready else ())

    # the actor's methods
    def _write(self, what: str) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        self.writes.append(what)

    def claim(self) -> None:
        self._write("claim")
        self.phase, self.change = RoutePhase.PROGRESSING, "ops-1"

    def set_weight(self, percent: int, phase: RoutePhase) -> None:
        self._write(f"weight {percent} {phase}")
        self.weight, self.phase = percent, phase
        if self.lose_answers:
            raise UnreachableError("no answer")

    def copy_template(self) -> None:
        self._write("copy template")
        self.stable = {**copy.deepcopy(self.canary), "metadata": self.stable["metadata"]}

    def roll_back(self) -> bool:
        if self.phase is RoutePhase.PROMOTING and not same_template(self.stable, STABLE):
            self._write("restore template")
            self.stable = copy.deepcopy(STABLE)
            return False
        if self.change not in (None, "ops-1"):
            return True
        self._write("roll back")
        self.weight, self.phase = 0, RoutePhase.ROLLING_BACK
        return True

    def promoted(self) -> bool:
        return self.phase is RoutePhase.PROMOTED and self.weight == 0

    def finish(self, phase: RoutePhase) -> str | None:
        if self.change not in (None, "ops-1"):
            return self.change
        self._write(f"finish {phase}")
        self.phase = phase
        return None

    def scale_down_canary(self) -> None:
        self._write("scale down")
        self.canary_replicas = 0


class InstantSuite:
    """Ends at its first poll."""

    def __init__(self, suite: str, verdict: Verdict, check: Check | None = None) -> None:
        check = check or Check(f"{suite}-check", verdict, f"{suite} says {verdict}", signal=suite)
        self.result = SuiteResult(suite, (check,), START, START + 1, "http://canary")

    def poll(self) -> SuiteResult:
        return self.result

    def kill(self) -> None:
        pass


class Harness:
    """Drives one ChangeRun.

    `suites` maps (stage, suite) or suite to a verdict, PASS by default; `checks` a suite to its one check.
    """

    def __init__(self, **guard: Any) -> None:
        self.guard = parse(GuardSpec, {**GUARD, **guard}, "Guard")
        self.target = Target()
        self.measurements = Measurements()
        self.streams = Streams()
        self.turned = Turned()
        self.suites: dict[Any, Verdict] = {}
        self.checks: dict[str, Check] = {}
        self.saved: list[dict[str, Any]] = []
        self.plan: Plan = freeze(self.guard, self.target.canary, self.target.stable)
        self.spec = ChangeSpec(guard="chat", ticket="OPS-1", requested_by="ann", plan=self.plan)
        self.run = self.start(Progress(opened_at=START, stage_started_at=START))

    def start(self, progress: Progress) -> ChangeRun:
        """A guard process takes the Change up."""
        self.run = ChangeRun(
            "ops-1",
            self.spec,
            progress,
            look=self.target.look,
            actor=self.target,  # type: ignore[arg-type]
            measurements=self.measurements,  # type: ignore[arg-type]
            start_suite=self._suite,
            save=lambda p: self.save(p),
            clock=self.turned.clock(),
            in_flight=self.streams,  # type: ignore[arg-type]
        )
        return self.run

    def reopen(self, spec: ChangeSpec) -> None:
        """Another Change was opened instead."""
        self.spec = spec
        self.start(self.run.progress)

    def save(self, progress: Progress) -> None:
        self.saved.append(progress.to_status(len(self.guard.steps)))

    def restart(self) -> ChangeRun:
        """The guard is killed and a new one reads the last saved status."""
        return self.start(Progress.from_status(self.saved[-1], self.turned.now))

    def tick(
        self,
        seconds: float = 1.0,
        canary: tuple[int, int] = (0, 0),
        stable: tuple[int, int] = (0, 0),
        leaks: bool = False,
    ) -> None:
        """Time passes; (requests, 400s) of each arm arrive at the gateway meanwhile.

        The canary gets none at weight 0, unless the gateway `leaks`.
        """
        before = self.turned.now - START
        self.turned.now += seconds
        for arm, (total, bad) in ((Arm.CANARY, canary), (Arm.BASELINE, stable)):
            if total and (arm is Arm.BASELINE or self.target.weight or leaks):
                errors = {"400": bad} if bad else {}
                block = CounterBlock(Source.USER, arm, f"chat-{arm}", before, seconds, total, errors)
                self.measurements.batch.blocks.append(block)
                if arm is Arm.CANARY:
                    self.measurements.last_canary_request_at = self.turned.now
        self.run.tick()

    def until(self, phase: str, most: int = 400, **traffic: Any) -> None:
        """Ticks until the Change is in a phase."""
        for _ in range(most):
            if self.run.progress.phase == phase:
                return
            self.tick(**traffic)
        raise AssertionError(f"never {phase}: {self.run.progress.phase} ({self.run.progress.message})")

    def _suite(
        self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None
    ) -> InstantSuite:
        verdict = self.suites.get((stage, suite.name), self.suites.get(suite.name, Verdict.PASS))
        return InstantSuite(suite.name, verdict, self.checks.get(suite.name))

    def promoted_template(self) -> bool:
        return same_template(self.target.stable, CANARY)
