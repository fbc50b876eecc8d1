"""Claims about what the guard writes to routes and workloads, against the API over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from guard.adapters.kubernetes.client import DEPLOYMENTS, HTTP_ROUTES, KubernetesClient, Object
from guard.adapters.routers.httproute import CHANGE, PHASE, RouteState, read_route
from guard.adapters.workloads import same_template
from guard.api.change import Plan
from guard.core.change import RoutePhase
from guard.daemon.act import Actor
from guard.errors import ConfigurationError, ConflictError
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE


@pytest.fixture
def actor(client: KubernetesClient, plan: Plan) -> Actor:
    return Actor(client, NAMESPACE, "ops-1", plan)


def route(client: KubernetesClient) -> RouteState:
    found = client.get(HTTP_ROUTES, NAMESPACE, "chat")
    return read_route(found, "chat-stable", "chat-canary")


def stable_template(client: KubernetesClient) -> dict[str, Any]:
    template: dict[str, Any] = client.get(DEPLOYMENTS, NAMESPACE, "chat-stable")["spec"]["template"]
    return template


def set_stable_status(client: KubernetesClient, ready: bool) -> None:
    """What the Deployment's controller would write."""
    stable = client.get(DEPLOYMENTS, NAMESPACE, "chat-stable")
    count = 1 if ready else 0
    status = {
        "observedGeneration": stable["metadata"]["generation"],
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": count,
        "availableReplicas": count,
    }
    client.patch_merge(DEPLOYMENTS, NAMESPACE, "chat-stable", {"status": status}, "status")


def writes(cluster: FakeCluster) -> list[str]:
    return [
        f"{r.method} {r.path}" for r in cluster.requests if r.method in ("PUT", "PATCH", "POST", "DELETE")
    ]


def test_a_claim_marks_the_route_and_leaves_its_weights(client: KubernetesClient, actor: Actor) -> None:
    actor.claim()
    state = route(client)
    assert (state.phase, state.change, state.weight_percent) == (RoutePhase.PROGRESSING, "ops-1", 0)


def test_weights_phase_and_change_move_in_one_patch(
    cluster: FakeCluster, client: KubernetesClient, actor: Actor
) -> None:
    actor.claim()
    cluster.clear_requests()
    actor.set_weight(25, RoutePhase.PROGRESSING)
    (patch,) = [r for r in cluster.requests if r.method == "PATCH"]
    assert patch.content_type == "application/json-patch+json"
    backends = client.get(HTTP_ROUTES, NAMESPACE, "chat")["spec"]["rules"][0]["backendRefs"]
    assert [b["weight"] for b in backends] == [75, 25]


def test_a_route_held_by_another_change_is_not_touched(
    cluster: FakeCluster, client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    Actor(client, NAMESPACE, "ops-0", plan).claim()
    cluster.clear_requests()
    with pytest.raises(ConflictError, match="ops-0"):
        actor.claim()
    with pytest.raises(ConflictError, match="ops-0"):
        actor.set_weight(50, RoutePhase.PROGRESSING)
    assert writes(cluster) == []


def test_a_route_at_rest_is_claimed_by_the_next_change(
    client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    first = Actor(client, NAMESPACE, "ops-0", plan)
    first.claim()
    first.finish(RoutePhase.ROLLED_BACK)
    actor.claim()
    assert route(client).change == "ops-1"


def test_a_rollback_moves_the_weight_by_one_patch_however_often_it_is_repeated(
    cluster: FakeCluster, client: KubernetesClient, actor: Actor
) -> None:
    actor.claim()
    actor.set_weight(50, RoutePhase.PROGRESSING)
    cluster.clear_requests()
    assert actor.roll_back()
    assert actor.roll_back()
    state = route(client)
    assert (state.phase, state.weight_percent) == (RoutePhase.ROLLING_BACK, 0)
    assert len(writes(cluster)) == 1


def test_a_rollback_from_promoting_restores_the_stable_before_it_gets_traffic(
    client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    actor.claim()
    actor.set_weight(100, RoutePhase.PROMOTING)
    actor.copy_template()
    assert same_template(stable_template(client), plan.canary_template)

    set_stable_status(client, ready=False)
    assert not actor.roll_back()
    assert same_template(stable_template(client), plan.stable_template)
    assert route(client).weight_percent == 100

    set_stable_status(client, ready=False)
    assert not actor.roll_back()
    assert route(client).weight_percent == 100

    set_stable_status(client, ready=True)
    assert actor.roll_back()
    assert route(client).weight_percent == 0


def test_promotion_copies_the_template_but_keeps_the_stable_its_own_labels(
    client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    actor.copy_template()
    template = stable_template(client)
    assert template["metadata"]["labels"] == {"app": "chat", "track": "stable"}
    assert "--batch-size=256" in template["spec"]["containers"][0]["args"]


def test_a_promoted_canary_is_scaled_to_zero(client: KubernetesClient, actor: Actor) -> None:
    actor.scale_down_canary()
    assert client.get(DEPLOYMENTS, NAMESPACE, "chat-canary")["spec"]["replicas"] == 0


def apply_next_canary(client: KubernetesClient) -> None:
    canary = client.get(DEPLOYMENTS, NAMESPACE, "chat-canary")
    canary["spec"]["template"]["spec"]["containers"][0]["args"].append("--next")
    client.replace(DEPLOYMENTS, NAMESPACE, "chat-canary", canary)


def canary_replicas(client: KubernetesClient) -> int:
    count: int = client.get(DEPLOYMENTS, NAMESPACE, "chat-canary")["spec"]["replicas"]
    return count


def test_the_next_changes_canary_is_never_scaled_down(client: KubernetesClient, actor: Actor) -> None:
    apply_next_canary(client)
    actor.scale_down_canary()
    assert canary_replicas(client) == 1


def test_a_canary_applied_between_read_and_write_is_never_scaled_down(
    client: KubernetesClient, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(client, NAMESPACE, "ops-1", plan)
    read = client.get

    def read_before_an_apply(*where: Any) -> Object:
        found = read(*where)
        monkeypatch.undo()
        apply_next_canary(client)
        return found

    monkeypatch.setattr(client, "get", read_before_an_apply)
    with pytest.raises(ConflictError):
        actor.scale_down_canary()
    assert canary_replicas(client) == 1


def test_a_stable_that_someone_else_changed_is_not_overwritten(
    client: KubernetesClient, actor: Actor
) -> None:
    stable = client.get(DEPLOYMENTS, NAMESPACE, "chat-stable")
    stable["spec"]["template"]["spec"]["containers"][0]["args"].append("--emergency")
    client.replace(DEPLOYMENTS, NAMESPACE, "chat-stable", stable)
    with pytest.raises(ConflictError, match="someone else"):
        actor.copy_template()
    assert "--emergency" in stable_template(client)["spec"]["containers"][0]["args"]


def test_a_patch_lost_to_another_writer_is_planned_again(client: KubernetesClient, actor: Actor) -> None:
    actor.claim()
    body = {"metadata": {"annotations": {"team": "chat"}}}
    client.patch_merge(HTTP_ROUTES, NAMESPACE, "chat", body)
    actor.set_weight(10, RoutePhase.PROGRESSING)
    annotations = client.get(HTTP_ROUTES, NAMESPACE, "chat")["metadata"]["annotations"]
    assert annotations == {"team": "chat", PHASE: "Progressing", CHANGE: "ops-1"}


def remove_route(client: KubernetesClient) -> None:
    client.delete(HTTP_ROUTES, NAMESPACE, "chat")


def remove_canary_backend(client: KubernetesClient) -> None:
    found = client.get(HTTP_ROUTES, NAMESPACE, "chat")
    rule = found["spec"]["rules"][0]
    rule["backendRefs"] = [ref for ref in rule["backendRefs"] if ref["name"] == "chat-stable"]
    client.replace(HTTP_ROUTES, NAMESPACE, "chat", found)


@pytest.mark.parametrize("remove", [remove_route, remove_canary_backend])
def test_a_route_that_sends_nothing_to_the_canary_needs_no_return(
    client: KubernetesClient, actor: Actor, remove: Callable[[KubernetesClient], None]
) -> None:
    actor.claim()
    actor.set_weight(50, RoutePhase.PROGRESSING)
    remove(client)
    assert actor.roll_back()
    actor.finish(RoutePhase.ROLLED_BACK)


def test_a_route_with_the_canary_alone_is_not_taken_for_returned(
    client: KubernetesClient, actor: Actor
) -> None:
    actor.claim()
    found = client.get(HTTP_ROUTES, NAMESPACE, "chat")
    rule = found["spec"]["rules"][0]
    rule["backendRefs"] = [ref for ref in rule["backendRefs"] if ref["name"] == "chat-canary"]
    client.replace(HTTP_ROUTES, NAMESPACE, "chat", found)
    with pytest.raises(ConfigurationError, match="backendRefs"):
        actor.roll_back()


def remove_annotations(client: KubernetesClient) -> None:
    found = client.get(HTTP_ROUTES, NAMESPACE, "chat")
    del found["metadata"]["annotations"]
    client.replace(HTTP_ROUTES, NAMESPACE, "chat", found)


@pytest.mark.parametrize("strip", [remove_annotations, remove_route, remove_canary_backend])
def test_a_stable_that_was_being_promoted_is_restored_whatever_the_route_still_says(
    client: KubernetesClient, plan: Plan, actor: Actor, strip: Callable[[KubernetesClient], None]
) -> None:
    actor.claim()
    actor.set_weight(100, RoutePhase.PROMOTING)
    actor.copy_template()
    strip(client)
    assert not actor.roll_back()
    assert same_template(stable_template(client), plan.stable_template)
    if strip is remove_annotations:
        set_stable_status(client, ready=False)
        assert not actor.roll_back()
        assert route(client).weight_percent == 100
    set_stable_status(client, ready=True)
    assert actor.roll_back()


def test_a_missing_stable_does_not_keep_a_change_whose_route_is_gone(
    client: KubernetesClient, actor: Actor
) -> None:
    remove_route(client)
    client.delete(DEPLOYMENTS, NAMESPACE, "chat-stable")
    assert actor.roll_back()


def test_a_route_that_was_rolled_back_already_needs_no_return(actor: Actor) -> None:
    actor.claim()
    actor.finish(RoutePhase.ROLLED_BACK)
    assert actor.roll_back()


def test_a_promotion_is_told_by_the_route_of_its_own_change_alone(
    client: KubernetesClient, plan: Plan, actor: Actor
) -> None:
    actor.claim()
    actor.set_weight(100, RoutePhase.PROMOTING)
    assert not actor.promoted()
    actor.set_weight(0, RoutePhase.PROMOTED)
    assert actor.promoted()
    assert not Actor(client, NAMESPACE, "ops-2", plan).promoted()
