"""What keeps a Change from starting: judged on the plan and on the target as it stands, before any traffic.

Refuses to judge the canary itself; that is the suites' and the rule's work.
"""

from guard.api.change import ChangeSpec, plan_digest
from guard.core.change import RESTING
from guard.daemon.observe import Observation


def refusal(name: str, spec: ChangeSpec, seen: Observation) -> tuple[str, str] | None:
    """(reason, message) when this Change may not start; None when it may."""
    if spec.risk in ("R2", "R3"):
        return "ApprovalsNotSupported", f"risk {spec.risk} needs approvals, which are not supported yet"
    if seen.problem or seen.route is None:
        return "TargetNotAsStated", seen.problem or "the route cannot be read"
    if seen.canary.template and plan_digest(spec.plan.guard, seen.canary.template) != spec.plan.digest:
        return "PlanChanged", "the canary's pod template is not the one that was opened; open a new Change"
    if spec.plan.guard.enforcement == "Advise":
        return None  # it moves nothing, so it may join at any weight
    if seen.route.phase not in RESTING and seen.route.change != name:
        return "RouteHeld", f"change {seen.route.change} holds the route ({seen.route.phase})"
    if seen.route.weight_percent > 0:
        return "CanaryHasTraffic", f"the canary already has {seen.route.weight_percent} % of the traffic"
    return None
