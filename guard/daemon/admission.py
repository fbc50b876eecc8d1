"""What keeps a Change from starting or from going on, judged on the plan and the target as they stand.

Before any traffic it is refused for it; later it is held, which is never a verdict on the canary. Refuses to
judge the canary itself; that is the suites' and the rule's work.
"""

from guard.adapters.workloads import same_template
from guard.api.change import ChangeSpec, plan_digest
from guard.core.change import RESTING, Phase
from guard.daemon.observe import Observation
from guard.daemon.templates import template_differences

Obstacle = tuple[str, str]
"""(reason, message) for a condition."""

_ANEW = "close this Change and open a new one"
MAX_FIELDS = 4  # of a template, in a message


def refusal(name: str, spec: ChangeSpec, seen: Observation, edited: bool) -> Obstacle | None:
    """Why this Change may not start; None when it may."""
    if spec.risk in ("R2", "R3"):
        return "ApprovalsNotSupported", f"risk {spec.risk} needs approvals, which are not supported yet"
    if seen.problem or seen.route is None:
        return "TargetNotAsStated", seen.problem or "the route cannot be read"
    if seen.canary.template and plan_digest(spec.plan.guard, seen.canary.template) != spec.plan.digest:
        return "PlanChanged", "the canary's pod template is not the one that was opened; open a new Change"
    if found := plan_edited(spec, edited) or baseline_changed(spec, seen):
        return found
    if spec.plan.guard.enforcement == "Advise":
        return None  # it moves nothing, so it may join at any weight
    if seen.route.phase not in RESTING and seen.route.change != name:
        return "RouteHeld", f"change {seen.route.change} holds the route ({seen.route.phase})"
    if seen.route.weight_percent > 0:
        return "CanaryHasTraffic", f"the canary already has {seen.route.weight_percent} % of the traffic"
    return None


def hold(spec: ChangeSpec, phase: Phase, seen: Observation, edited: bool) -> Obstacle | None:
    """Why a Change under way gets no more traffic; None when it may go on."""
    found = plan_edited(spec, edited)
    if found is None and phase in (Phase.TESTING, Phase.PROGRESSING):
        found = baseline_changed(spec, seen)
    return found


def plan_edited(spec: ChangeSpec, edited: bool) -> Obstacle | None:
    """What was opened is not what stands there: nobody has agreed to that.

    Args:
        edited: The spec differs from the one that the Change began with.
    """
    if edited:
        return "PlanChanged", f"the Change's spec was edited after it had begun; put it back, or {_ANEW}"
    if plan_digest(spec.plan.guard, spec.plan.canary_template) != spec.plan.digest:
        return "PlanChanged", f"the plan is not the one that its digest was made of; {_ANEW}"
    return None


def baseline_changed(spec: ChangeSpec, seen: Observation) -> Obstacle | None:
    """The stable is not what the plan was frozen with: a comparison with it would be confounded."""
    if seen.stable.deployment is None or same_template(spec.plan.stable_template, seen.stable.template):
        return None
    fields = [d.field for d in template_differences(spec.plan.stable_template, seen.stable.template)]
    shown = ", ".join(fields[:MAX_FIELDS]) + (
        f" and {len(fields) - MAX_FIELDS} more" if len(fields) > MAX_FIELDS else ""
    )
    name = spec.plan.guard.target.stable.workload.name
    what = f"the pod template of Deployment {name} was changed after the plan was frozen ({shown})"
    return "BaselineChanged", f"{what}: a comparison with it is confounded; put it back, or {_ANEW}"
