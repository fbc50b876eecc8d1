"""Claims about whose a route is: another Change's stays its own; a claim that led to nothing is released."""

from typing import Any

import pytest

from guard.adapters.kubernetes.client import HTTP_ROUTES, KubernetesClient, Object
from guard.api.change import Plan
from guard.core.change import Phase, Reason, RoutePhase
from guard.daemon.act import Actor, release
from guard.errors import ConfigurationError
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE
from tests.daemon.harness import Harness
from tests.daemon.test_act import actor as actor
from tests.daemon.test_act import remove_annotations, remove_route, route, writes
from tests.daemon.test_change_run import BAD, GOOD


def taken_by_another(client: KubernetesClient, plan: Plan, weight: int) -> None:
    """Someone's apply took our annotations and weights off the route, and another Guard's Change came."""
    remove_annotations(client)
    found = client.get(HTTP_ROUTES, NAMESPACE, "chat")
    for ref in found["spec"]["rules"][0]["backendRefs"]:
        ref["weight"] = 100 if ref["name"] == "chat-stable" else 0
    client.replace(HTTP_ROUTES, NAMESPACE, "chat", found)
    other = Actor(client, NAMESPACE, "ops-2", plan)
    other.claim()
    other.set_weight(weight, RoutePhase.PROGRESSING)


@pytest.mark.parametrize("weight", [0, 10], ids=["without traffic", "with traffic"])
def test_a_route_that_another_change_took_ends_ours_and_stays_its_own(
    cluster: FakeCluster, client: KubernetesClient, plan: Plan, actor: Actor, weight: int
) -> None:
    actor.claim()
    actor.set_weight(50, RoutePhase.PROGRESSING)
    taken_by_another(client, plan, weight)
    cluster.clear_requests()
    assert actor.roll_back()
    assert actor.finish(RoutePhase.ROLLED_BACK) == "ops-2"
    assert writes(cluster) == []


@pytest.mark.parametrize("weight", [0, 10])
def test_a_claim_of_a_change_that_never_began_is_released(
    client: KubernetesClient, plan: Plan, actor: Actor, weight: int
) -> None:
    actor.claim()
    actor.set_weight(weight, RoutePhase.PROGRESSING)
    assert release(client, NAMESPACE, "ops-1", spec_of(plan))
    state = route(client)
    assert (state.phase, state.change, state.weight_percent) == (RoutePhase.ROLLED_BACK, "ops-1", 0)
    assert not release(client, NAMESPACE, "ops-1", spec_of(plan))


def spec_of(plan: Plan) -> dict[str, Any]:
    """As it stands on the API, where nobody needs to be able to read the rest of it."""
    return {"plan": {"guard": {"target": plan.guard.to_document()["target"], "unknown": 1}}}


def test_nothing_but_its_own_claim_is_released(
    cluster: FakeCluster, client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    assert not release(client, NAMESPACE, "ops-1", spec_of(plan))
    actor.claim()
    assert not release(client, NAMESPACE, "ops-2", spec_of(plan))
    actor.set_weight(100, RoutePhase.PROMOTING)
    cluster.clear_requests()
    assert not release(client, NAMESPACE, "ops-1", spec_of(plan))
    remove_route(client)
    assert not release(client, NAMESPACE, "ops-1", spec_of(plan))
    assert [write for write in writes(cluster) if write.startswith("PATCH")] == []


def test_a_claim_is_released_although_others_write_to_the_route(
    client: KubernetesClient, plan: Plan, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor.claim()
    read = client.get

    def read_before_a_step(*where: Any) -> Object:
        found = read(*where)
        monkeypatch.undo()
        actor.set_weight(10, RoutePhase.PROGRESSING)
        return found

    monkeypatch.setattr(client, "get", read_before_a_step)
    assert release(client, NAMESPACE, "ops-1", spec_of(plan))
    assert route(client).weight_percent == 0


@pytest.mark.parametrize("spec", [{}, {"plan": None}, {"plan": {"guard": {"target": []}}}, None])
def test_a_spec_that_names_no_route_says_so(client: KubernetesClient, spec: Any) -> None:
    with pytest.raises(ConfigurationError, match="which route"):
        release(client, NAMESPACE, "ops-1", spec)


@pytest.mark.parametrize("weight", [0, 10], ids=["without traffic", "with traffic"])
def test_a_rollback_ends_although_another_change_has_taken_the_route(weight: int) -> None:
    harness = Harness()
    harness.until(Phase.ROLLING_BACK, **BAD)
    target = harness.target
    target.change, target.weight, target.phase = "ops-2", weight, RoutePhase.PROGRESSING
    harness.until(Phase.FINISHED, **GOOD, most=60)
    progress = harness.run.progress
    assert progress.ended is Reason.ROLLED_BACK
    taken = [entry.message for entry in progress.timeline if entry.kind == "RouteTaken"]
    assert taken == ["change ops-2 holds the route now; it was left as it is"]
    assert (target.change, target.weight, target.phase) == ("ops-2", weight, RoutePhase.PROGRESSING)


def test_a_route_taken_with_traffic_is_not_said_to_be_quiet() -> None:
    harness = Harness()
    harness.until(Phase.ROLLING_BACK, **BAD)
    known = harness.run.progress.last_new_request_at
    harness.target.change, harness.target.weight = "ops-2", 10
    harness.target.phase = RoutePhase.PROGRESSING
    harness.until(Phase.FINISHED, **GOOD, most=60)
    progress = harness.run.progress
    assert (progress.quiet_at, progress.last_new_request_at) == (None, known)
    said = [entry.message for entry in progress.timeline if entry.kind == "QuietUnknown"]
    assert said == ["change ops-2 holds the route now, and gives the canary traffic"]
