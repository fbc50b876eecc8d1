"""Performing what was decided: the only writes to routes and workloads are here.

Owns the order in which things are written: the intent into the Change's status first, then the route's
phase, then what follows from it. Every method may be repeated after a crash. Reads what it changes afresh,
because a watch may lag. Refuses to decide.
"""

from collections.abc import Callable, Mapping
from typing import Any

from guard.adapters.kubernetes.client import DEPLOYMENTS, HTTP_ROUTES, KubernetesClient, Object
from guard.adapters.routers.httproute import RouteState, move_weight, read_route, sends_to
from guard.adapters.workloads import replace_template, rolled_out, same_template, scale, template_for
from guard.api.change import Plan
from guard.core.change import RESTING, RoutePhase
from guard.errors import ConfigurationError, ConflictError, NotFoundError

# From which phases a phase may be written: nobody turns a rollback around, however late their patch comes.
_BEFORE: dict[RoutePhase, set[RoutePhase | None]] = {
    RoutePhase.PROGRESSING: {RoutePhase.PROGRESSING},
    RoutePhase.PROMOTING: {RoutePhase.PROGRESSING, RoutePhase.PROMOTING},
    RoutePhase.PROMOTED: {RoutePhase.PROMOTING, RoutePhase.PROMOTED},
    RoutePhase.ROLLING_BACK: {RoutePhase.PROGRESSING, RoutePhase.PROMOTING, RoutePhase.ROLLING_BACK, None},
    RoutePhase.ROLLED_BACK: {RoutePhase.PROGRESSING, RoutePhase.ROLLING_BACK, RoutePhase.ROLLED_BACK, None},
}
CLAIMED = frozenset({RoutePhase.PROGRESSING, RoutePhase.ROLLING_BACK})
"""Phases that a route can be brought to rest from at once; out of Promoting the stable comes first."""

ATTEMPTS = 5  # of a guarded patch; each begins with a fresh read


class Actor:
    """Acts on the route and the workloads of one Change."""

    def __init__(self, client: KubernetesClient, namespace: str, change: str, plan: Plan) -> None:
        self._client = client
        self._namespace = namespace
        self._change = change
        self._plan = plan
        self._target = plan.guard.target

    def claim(self) -> None:
        """Writes Progressing and this Change on a route at rest; the weights stay at 0.

        Raises:
            ConflictError: Another Change holds the route, or the canary has traffic.
        """
        route = self._route()
        if route.change == self._change and route.phase is RoutePhase.PROGRESSING:
            return
        if route.phase not in RESTING or route.weight_percent > 0:
            raise ConflictError(
                f"the route is {route.phase} by change {route.change}, canary weight {route.weight_percent} %"
            )
        move_weight(self._client, route, 0, RoutePhase.PROGRESSING, self._change)

    def set_weight(self, percent: int, phase: RoutePhase) -> None:
        """Moves the canary's share, if the route is this Change's and in a phase that may become `phase`.

        Raises:
            ConflictError: It is not: another guard has acted since the decision was made.
        """

        def move(route: RouteState) -> None:
            self._own(route)
            if route.phase not in _BEFORE[phase]:
                raise ConflictError(f"the route is {route.phase}, which cannot become {phase}")
            move_weight(self._client, route, percent, phase, self._change)

        _guarded(self._route, move)

    def copy_template(self) -> None:
        """Gives the stable the promoted template.

        Raises:
            ConflictError: It has another than the plan was frozen with: someone else's work.
        """
        own = self._deployment(self._target.stable.workload.name)["spec"]["template"]
        planned = (self._plan.stable_template, self._plan.canary_template)
        if not any(same_template(own, template) for template in planned):
            raise ConflictError("someone else has changed the stable's pod template; it was not overwritten")
        self._set_stable_template(self._plan.canary_template)

    def roll_back(self) -> bool:
        """Returns all traffic to the stable; True once the canary has none of this Change's.

        From Promoting, the stable's template is put back first, and the traffic waits until it is ready.
        What a route gives the canary that another Change has taken meanwhile is that one's, and stays.
        """
        route = self._route_to_canary()
        if route is not None and self._left(route):
            return True
        if self._must_restore(route):
            if route is not None and route.weight_percent > 0 and route.phase is None:
                # Put back what the route said: the next call waits by it until the stable is ready.
                move_weight(self._client, route, route.weight_percent, RoutePhase.PROMOTING, self._change)
            if not self._stable_restored():
                return False
        if route is not None and (route.weight_percent > 0 or route.change is not None):
            self.set_weight(0, RoutePhase.ROLLING_BACK)
        return True

    def promoted(self) -> bool:
        """Whether the route says now that this Change was promoted: a watch may lag behind the patch."""
        route = self._route_to_canary()
        ours = route is not None and route.change == self._change and route.weight_percent == 0
        return ours and route is not None and route.phase is RoutePhase.PROMOTED

    def finish(self, phase: RoutePhase) -> str | None:
        """Leaves the route at rest, in the phase that the Change ended with; no route is at rest, too.

        Returns:
            The other Change that has taken the route meanwhile, and keeps it; None where there is none.
        """
        route = self._route_to_canary()
        if route is None:
            return None
        if self._taken(route):
            return route.change
        self.set_weight(0, phase)
        return None

    def scale_down_canary(self) -> None:
        """Scales the promoted canary to 0; never the next change's, which may have been applied meanwhile.

        Raises:
            ConflictError: It was applied in this very moment.
        """
        canary = self._deployment(self._target.canary.workload.name)
        if same_template(canary["spec"]["template"], self._plan.canary_template):
            scale(self._client, canary, 0)

    def _left(self, route: RouteState) -> bool:
        """Another Change's, or rolled back already: nothing of ours stands there."""
        rolled_back = route.phase in (RoutePhase.ROLLING_BACK, RoutePhase.ROLLED_BACK)
        return self._taken(route) or (rolled_back and route.weight_percent == 0)

    def _must_restore(self, route: RouteState | None) -> bool:
        """The promotion had begun, as the route says; one without our phase cannot, so the stable does."""
        if route is not None and route.phase is not None:
            return route.phase is RoutePhase.PROMOTING
        try:
            own = self._deployment(self._target.stable.workload.name)["spec"]["template"]
        except NotFoundError:
            return False
        promoted = same_template(own, self._plan.canary_template)
        return promoted and not same_template(own, self._plan.stable_template)

    def _stable_restored(self) -> bool:
        stable = self._deployment(self._target.stable.workload.name)
        if not same_template(stable["spec"]["template"], self._plan.stable_template):
            self._set_stable_template(self._plan.stable_template)
            return False
        return rolled_out(stable)

    def _set_stable_template(self, template: Mapping[str, Any]) -> None:
        stable = self._deployment(self._target.stable.workload.name)
        own = stable["spec"]["template"]
        if not same_template(own, template):
            replace_template(self._client, stable, template_for(template, own))

    def _taken(self, route: RouteState) -> bool:
        # Annotations that someone else's apply has removed do not make the canary's traffic anyone else's.
        return route.change not in (self._change, None)

    def _own(self, route: RouteState) -> None:
        if self._taken(route):
            raise ConflictError(f"the route belongs to change {route.change} now; nothing was patched")

    def _route_to_canary(self) -> RouteState | None:
        """None where there is nothing to take back: the route is gone, or without the canary's Service."""
        try:
            route = self._client.get(HTTP_ROUTES, self._namespace, self._target.route.name)
        except NotFoundError:
            return None
        return self._read(route) if sends_to(route, self._target.canary.service) else None

    def _route(self) -> RouteState:
        return self._read(self._client.get(HTTP_ROUTES, self._namespace, self._target.route.name))

    def _read(self, route: Object) -> RouteState:
        return read_route(route, self._target.stable.service, self._target.canary.service)

    def _deployment(self, name: str) -> Object:
        return self._client.get(DEPLOYMENTS, self._namespace, name)


def release(client: KubernetesClient, namespace: str, change: str, spec: Any) -> bool:
    """Leaves at rest, at weight 0, the route that is claimed by a Change which ends without having begun.

    Args:
        spec: The Change's, as it stands on the API; it may be one that nobody can read.
    Returns:
        False where the route is gone, nobody's or another Change's, or went further than a claim.
    Raises:
        ConfigurationError: The spec does not say which route, or the route is not as it says.
        ConflictError: Others wrote to it at every attempt.
    """
    try:
        target = spec["plan"]["guard"]["target"]
        services = target["stable"]["service"], target["canary"]["service"]
        name = target["route"]["name"]
    except (LookupError, TypeError) as error:
        raise ConfigurationError("its plan does not say which route") from error
    left = []

    def leave(route: RouteState) -> None:
        if route.change == change and route.phase in CLAIMED:
            move_weight(client, route, 0, RoutePhase.ROLLED_BACK, change)
            left.append(route)

    try:
        _guarded(lambda: read_route(client.get(HTTP_ROUTES, namespace, name), *services), leave)
    except NotFoundError:
        return False
    return bool(left)


def _guarded(read: Callable[[], RouteState], patch: Callable[[RouteState], None]) -> None:
    """Tries with fresh reads: others (the gateway's status, a person) write to the route, too."""
    for attempt in range(ATTEMPTS):
        try:
            patch(read())
            return
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
