"""What the cluster says now of one target: route, workloads, pods, endpoints; and what changed in the pods.

Owns the reflectors of a namespace and the reading of them. Refuses to judge and never writes. What cannot
be used (a route without the two backends, a missing workload) is a problem in words, not an exception.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import (
    CHANGES,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    GUARDS,
    HTTP_ROUTES,
    PODS,
    KubernetesClient,
    Object,
)
from guard.adapters.kubernetes.reflector import Reflector
from guard.adapters.routers.httproute import RouteState, read_route
from guard.adapters.workloads import Address, Replica, endpoint_addresses, replicas, rolled_out
from guard.api.guard import GuardSpec, Track
from guard.core.blocks import PodEvent
from guard.core.samples import Arm
from guard.errors import ConfigurationError

SYNC_SECONDS = 15.0


@dataclass(frozen=True)
class Side:
    """One track: its Deployment, its pods, and the addresses that the gateway would send to."""

    deployment: Object | None
    replicas: tuple[Replica, ...]
    addresses: tuple[Address, ...]

    @property
    def ready(self) -> bool:
        """Rolled out, and every wanted replica is a ready endpoint; at least one."""
        if self.deployment is None:
            return False
        wanted = int(self.deployment["spec"].get("replicas", 1))
        return wanted > 0 and rolled_out(self.deployment) and len(self.addresses) >= wanted

    @property
    def template(self) -> Object:
        template: Object = self.deployment["spec"]["template"] if self.deployment else {}
        return template

    @property
    def scaled_down(self) -> bool:
        return self.deployment is not None and self.deployment["spec"].get("replicas") == 0


@dataclass(frozen=True)
class Observation:
    """One look at a target. `problem` says what is not as the Guard says it is."""

    route: RouteState | None
    stable: Side
    canary: Side
    problem: str | None = None

    def endpoints(self, port: int, api_key: str | None = None) -> dict[Arm, list[Endpoint]]:
        """Each arm's pods as endpoints to ask, past the gateway."""
        sides = {Arm.BASELINE: self.stable, Arm.CANARY: self.canary}
        return {
            arm: [_endpoint(address, port, arm, api_key) for address in side.addresses]
            for arm, side in sides.items()
        }


def _endpoint(address: Address, port: int, arm: Arm, api_key: str | None) -> Endpoint:
    host = f"[{address.ip}]" if ":" in address.ip else address.ip
    return Endpoint(f"http://{host}:{port}", arm, api_key, pod=address.pod or None)


class Namespace:
    """Local copies of what the guard watches in one namespace."""

    def __init__(self, client: KubernetesClient, namespace: str, on_change: Callable[[], None]) -> None:
        self.name = namespace
        watched = (GUARDS, CHANGES, HTTP_ROUTES, DEPLOYMENTS, PODS, ENDPOINT_SLICES)
        self._reflectors = {r: Reflector(client, r, namespace, on_change) for r in watched}

    def start(self) -> None:
        """Starts watching, and waits for the first lists.

        Raises:
            ConfigurationError: A kind could not be listed; names it and why.
        """
        for reflector in self._reflectors.values():
            reflector.start()
        for resource, reflector in self._reflectors.items():
            if not reflector.wait_for_sync(SYNC_SECONDS):
                why = reflector.error or "no answer"
                raise ConfigurationError(f"cannot list {resource.plural} in namespace {self.name}: {why}")

    def stop(self) -> None:
        for reflector in self._reflectors.values():
            reflector.stop()

    @property
    def changes(self) -> list[Object]:
        return self._reflectors[CHANGES].objects()

    @property
    def guards(self) -> list[Object]:
        return self._reflectors[GUARDS].objects()

    def look(self, spec: GuardSpec) -> Observation:
        """The target as it is now, as far as the watches have told."""
        stable, canary = self._side(spec.target.stable), self._side(spec.target.canary)
        route = self._reflectors[HTTP_ROUTES].get(self.name, spec.target.route.name)
        if route is None:
            return Observation(None, stable, canary, f"HTTPRoute {spec.target.route.name} does not exist")
        missing = (
            f"Deployment {track.workload.name} does not exist"
            for side, track in ((stable, spec.target.stable), (canary, spec.target.canary))
            if side.deployment is None
        )
        problem = next(missing, None)
        try:
            state = read_route(route, spec.target.stable.service, spec.target.canary.service)
        except ConfigurationError as error:
            return Observation(None, stable, canary, problem or str(error))
        return Observation(state, stable, canary, problem)

    def _side(self, track: Track) -> Side:
        deployment = self._reflectors[DEPLOYMENTS].get(self.name, track.workload.name)
        slices = self._reflectors[ENDPOINT_SLICES].objects()
        pods = self._reflectors[PODS].objects()
        return Side(
            deployment=deployment,
            replicas=tuple(replicas(deployment, pods)) if deployment else (),
            addresses=tuple(endpoint_addresses(track.service, self.name, slices)),
        )


@dataclass
class PodWatch:
    """Turns successive looks at one arm's pods into events: restarts, out of memory, ready, gone.

    `clock_offset` turns monotonic seconds into Unix seconds: a pod says itself since when it is ready, and a
    guard that begins to look later must not take it for a cold one.
    """

    arm: Arm
    clock_offset: float
    _seen: dict[str, Replica] = field(default_factory=dict)

    def events(self, now: float, pods: Iterable[Replica]) -> list[PodEvent]:
        """What has happened since the last look; a pod's restarts before its first look are not counted."""
        current = {pod.name: pod for pod in pods}
        found = [PodEvent(now, self.arm, name, "gone", "") for name in self._seen.keys() - current.keys()]
        for name, pod in current.items():
            before = self._seen.get(name)
            found += self._differences(now, pod, before)
        self._seen = current
        return found

    def _differences(self, now: float, pod: Replica, before: Replica | None) -> list[PodEvent]:
        found = []
        if pod.ready and not (before and before.ready and before.ready_at == pod.ready_at):
            found.append(PodEvent(self._ready_at(now, pod), self.arm, pod.name, "ready", ""))
        if before is None:
            return found
        found += [
            PodEvent(now, self.arm, pod.name, "restart", f"restart {n + 1}")
            for n in range(before.restarts, pod.restarts)
        ]
        for container, ended_at in sorted(pod.oom_kills - before.oom_kills):
            found.append(
                PodEvent(now, self.arm, pod.name, "oom", f"{container} OOMKilled {ended_at}".strip())
            )
        return found

    def _ready_at(self, now: float, pod: Replica) -> float:
        """Never later than now, whatever the node's clock says."""
        return now if pod.ready_at is None else min(now, pod.ready_at - self.clock_offset)
