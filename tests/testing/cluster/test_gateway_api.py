"""The Gateway API's kinds, registered by the double itself."""

import pytest

from guard.testing.cluster import FakeCluster
from guard.testing.cluster.gateway_api import definitions
from tests.testing.cluster.api_client import ApiClient, Json

GROUP = "/apis/gateway.networking.k8s.io"
ROUTES = f"{GROUP}/v1/namespaces/default/httproutes"


@pytest.fixture
def gateway(cluster: FakeCluster, direct: ApiClient) -> ApiClient:
    cluster.register_gateway_api()
    return direct


def _route(*backends: Json) -> Json:
    spec = {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": list(backends)}]}
    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return head | {"metadata": {"name": "chat"}, "spec": spec}


def test_a_backend_without_weight_has_weight_one(gateway: ApiClient) -> None:
    made = gateway.made(ROUTES, _route({"name": "stable", "port": 80}))
    rule = made["spec"]["rules"][0]
    assert rule["backendRefs"] == [
        {"name": "stable", "port": 80, "kind": "Service", "group": "", "weight": 1}
    ]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]


def test_a_negative_weight_is_refused(gateway: ApiClient) -> None:
    refused = gateway.post(ROUTES, json=_route({"name": "stable", "weight": -1}))
    assert refused.status_code == 422
    assert refused.json()["details"]["causes"][0]["field"] == "spec.rules[0].backendRefs[0].weight"


def test_weights_and_phase_change_in_one_guarded_patch(gateway: ApiClient) -> None:
    body = _route({"name": "stable", "weight": 90}, {"name": "canary", "weight": 10})
    body["metadata"]["annotations"] = {"tidegate.dev/phase": "Progressing"}
    uid = gateway.made(ROUTES, body)["metadata"]["uid"]
    refs = "/spec/rules/0/backendRefs"
    steps: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/metadata/annotations/tidegate.dev~1phase", "value": "Progressing"},
        {"op": "test", "path": f"{refs}/1/name", "value": "canary"},
        {"op": "replace", "path": f"{refs}/0/weight", "value": 100},
        {"op": "replace", "path": f"{refs}/1/weight", "value": 0},
        {"op": "replace", "path": "/metadata/annotations/tidegate.dev~1phase", "value": "RollingBack"},
    ]
    changed = gateway.json_patch(f"{ROUTES}/chat", *steps).json()
    assert [ref["weight"] for ref in changed["spec"]["rules"][0]["backendRefs"]] == [100, 0]
    assert gateway.json_patch(f"{ROUTES}/chat", *steps).status_code == 422


def test_reference_grants_are_one_object_in_two_versions(gateway: ApiClient) -> None:
    spec = {"from": [{"group": "", "kind": "Service", "namespace": "a"}], "to": []}
    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "ReferenceGrant"}
    grant = head | {"metadata": {"name": "g"}, "spec": spec}
    gateway.made(f"{GROUP}/v1/namespaces/default/referencegrants", grant)
    old = gateway.read(f"{GROUP}/v1beta1/namespaces/default/referencegrants/g")
    assert (old["apiVersion"], old["spec"]) == ("gateway.networking.k8s.io/v1beta1", spec)


def test_definitions_that_somebody_applied_are_left_alone(cluster: FakeCluster, direct: ApiClient) -> None:
    own = next(item for item in definitions() if item["spec"]["names"]["kind"] == "HTTPRoute")
    own["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {}}}
    cluster.apply([own])
    cluster.register_gateway_api()
    assert "spec" not in direct.made(ROUTES, _route({"name": "stable"}))
