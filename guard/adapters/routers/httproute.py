"""Gateway API HTTPRoute v1: read the canary's weight, and move it by one guarded JSON Patch.

Owns where weights and phase stand on the route. Phase, change and weights move in the same patch, with a
`test` on the route's uid, phase, change, backend names and current weights, so that two guards, or a guard
and a person, cannot undo each other unseen: the second patch fails with ConflictError, and its writer reads
again. Refuses to know why the weight moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guard.adapters.kubernetes.client import HTTP_ROUTES, KubernetesClient, Object
from guard.core.change import RoutePhase
from guard.errors import ConfigurationError

PHASE = "tidegate.dev/phase"
CHANGE = "tidegate.dev/change"

DEFAULT_WEIGHT = 1  # of a backendRef that names none (Gateway API v1)


@dataclass(frozen=True)
class Backend:
    """One backendRef of stable or canary."""

    path: str
    service: str
    weight: int
    explicit: bool


@dataclass(frozen=True)
class Split:
    """The two backendRefs of one rule."""

    stable: Backend
    canary: Backend


@dataclass(frozen=True)
class RouteState:
    """What stands on the route now. `weight_percent` is the canary's share, 0 to 100, rounded up:
    a canary that gets anything at all is never reported at 0."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    annotated: bool
    phase: RoutePhase | None
    change: str | None
    splits: tuple[Split, ...]

    @property
    def weight_percent(self) -> int:
        return max(_share_percent(split) for split in self.splits)


def read_route(route: Object, stable_service: str, canary_service: str) -> RouteState:
    """The state of a route that splits traffic between two Services.

    Raises:
        ConfigurationError: No rule has both Services, a rule has one of them alone, or rules disagree.
    """
    metadata = route["metadata"]
    where = f"HTTPRoute {metadata['namespace']}/{metadata['name']}"
    splits = _splits(route, where, stable_service, canary_service)
    annotations = metadata.get("annotations") or {}
    phase = annotations.get(PHASE)
    if phase is not None and phase not in set(RoutePhase):
        raise ConfigurationError(
            f"{where}: annotation {PHASE} is {phase!r}; expected one of {', '.join(RoutePhase)}"
        )
    return RouteState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        annotated=bool(annotations),
        phase=RoutePhase(phase) if phase else None,
        change=annotations.get(CHANGE),
        splits=splits,
    )


def sends_to(route: Object, service: str) -> bool:
    """Whether any backendRef of the route names the Service, at whatever weight."""
    rules = route["spec"].get("rules") or []
    return any(ref["name"] == service for rule in rules for ref in rule.get("backendRefs") or [])


def weight_patch(
    state: RouteState, canary_percent: int, phase: RoutePhase, change: str
) -> list[dict[str, Any]]:
    """The one patch that moves weights, phase and change together, if the route still is as read."""
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": state.uid}]
    operations += _annotation_tests(state)
    for split in state.splits:
        for backend in (split.stable, split.canary):
            operations += _backend_tests(backend)
    operations += _annotation_writes(state, phase, change)
    for split in state.splits:
        operations += [
            {"op": "add", "path": f"{split.stable.path}/weight", "value": 100 - canary_percent},
            {"op": "add", "path": f"{split.canary.path}/weight", "value": canary_percent},
        ]
    return operations


def move_weight(
    client: KubernetesClient, state: RouteState, canary_percent: int, phase: RoutePhase, change: str
) -> Object:
    """Performs `weight_patch`. Raises ConflictError when the route is not as read any more."""
    operations = weight_patch(state, canary_percent, phase, change)
    return client.patch_json(HTTP_ROUTES, state.namespace, state.name, operations)


def _splits(route: Object, where: str, stable: str, canary: str) -> tuple[Split, ...]:
    found = []
    for i, rule in enumerate(route["spec"].get("rules") or []):
        backends = _backends(rule.get("backendRefs") or [], f"/spec/rules/{i}/backendRefs")
        ours = [b for b in backends if b.service in (stable, canary)]
        if not ours:
            continue
        if sorted(b.service for b in ours) != sorted((stable, canary)) or len(backends) != 2:
            names = ", ".join(b.service for b in backends)
            raise ConfigurationError(
                f"{where}: spec.rules[{i}].backendRefs must be exactly {stable} and {canary}, found {names}"
            )
        by_name = {b.service: b for b in ours}
        found.append(Split(by_name[stable], by_name[canary]))
    if not found:
        raise ConfigurationError(
            f"{where}: no rule has the backendRefs {stable} and {canary}; add both, canary weight 0"
        )
    if len({_share_percent(split) for split in found}) > 1:
        raise ConfigurationError(f"{where}: its rules give the canary different weights; make them equal")
    return tuple(found)


def _backends(refs: Sequence[Mapping[str, Any]], path: str) -> list[Backend]:
    return [
        Backend(f"{path}/{j}", ref["name"], int(ref.get("weight", DEFAULT_WEIGHT)), "weight" in ref)
        for j, ref in enumerate(refs)
    ]


def _share_percent(split: Split) -> int:
    total = split.stable.weight + split.canary.weight
    return -(-100 * split.canary.weight // total) if total else 0


def _annotation_tests(state: RouteState) -> list[dict[str, Any]]:
    if state.phase is None:  # a JSON Patch cannot test for absence
        return [{"op": "test", "path": "/metadata/resourceVersion", "value": state.resource_version}]
    tests = [{"op": "test", "path": _pointer(PHASE), "value": str(state.phase)}]
    if state.change is not None:
        tests.append({"op": "test", "path": _pointer(CHANGE), "value": state.change})
    return tests


def _annotation_writes(state: RouteState, phase: RoutePhase, change: str) -> list[dict[str, Any]]:
    ours = {PHASE: str(phase), CHANGE: change}
    if not state.annotated:
        return [{"op": "add", "path": "/metadata/annotations", "value": ours}]
    return [{"op": "add", "path": _pointer(key), "value": value} for key, value in ours.items()]


def _backend_tests(backend: Backend) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = [{"op": "test", "path": f"{backend.path}/name", "value": backend.service}]
    if backend.explicit:
        tests.append({"op": "test", "path": f"{backend.path}/weight", "value": backend.weight})
    return tests


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")
