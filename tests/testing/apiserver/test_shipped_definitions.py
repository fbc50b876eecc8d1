"""deploy/crds.yaml and the Gateway API's official definitions, on Kubernetes' own validation and CEL."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from guard.api.change import freeze
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from tests.daemon.conftest import ROOT
from tests.testing.apiserver.conftest import DEFINITIONS, shipped_definitions
from tests.testing.cluster.api_client import ApiClient, Json

pytestmark = pytest.mark.api

IMMUTABLE = {
    "guard": "other",
    "ticket": "OPS-2",
    "risk": "R3",
    "requestedBy": "someone-else",
    "plan": {"digest": "sha256:other"},
}


def _documents(path: str) -> list[Json]:
    return [d for d in yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")) if d]


def _group(namespace: str) -> str:
    return f"/apis/tidegate.dev/v1alpha1/namespaces/{namespace}"


def _change() -> Json:
    (guard,) = _documents("stack/manifests/demo/guard.yaml")
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "i:1"}]}}
    plan = freeze(parse(GuardSpec, guard["spec"], "Guard"), template, template)
    spec = {"guard": "chat", "ticket": "OPS-1", "requestedBy": "me", "plan": plan.to_document()}
    head = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "Change"}
    return head | {"metadata": {"name": "ops-1"}, "spec": spec}


def _rules(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every CEL rule below a schema node, as (path, rule)."""
    for rule in node.get("x-kubernetes-validations") or []:
        yield path, rule["rule"]
    for name, child in (node.get("properties") or {}).items():
        yield from _rules(child, f"{path}.{name}" if path else name)
    if isinstance(node.get("items"), dict):
        yield from _rules(node["items"], f"{path}[]")


@pytest.mark.parametrize("name", [d["metadata"]["name"] for d in shipped_definitions()])
def test_our_schemas_are_structural(api: ApiClient, name: str) -> None:
    conditions = api.read(f"{DEFINITIONS}/{name}")["status"]["conditions"]
    assert {row["type"]: row["status"] for row in conditions} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


@pytest.mark.parametrize(
    "path", ["stack/manifests/demo/guard.yaml", "stack/manifests/engines/vllm/guard.yaml"]
)
def test_the_shipped_guards_are_taken_and_lose_nothing(api: ApiClient, namespace: str, path: str) -> None:
    (guard,) = _documents(path)
    guard["metadata"].pop("namespace", None)
    made = api.post(f"{_group(namespace)}/guards", json=guard, params={"fieldValidation": "Strict"})
    assert made.status_code == 201, made.text
    spec = {key: value for key, value in made.json()["spec"].items() if key in guard["spec"]}
    assert parse(GuardSpec, spec, "Guard") == parse(GuardSpec, guard["spec"], "Guard")


def test_a_plan_is_stored_whole(api: ApiClient, namespace: str) -> None:
    change = _change()
    made = api.post(f"{_group(namespace)}/changes", json=change, params={"fieldValidation": "Strict"})
    assert made.status_code == 201, made.text
    assert made.json()["spec"]["plan"]["canaryTemplate"] == change["spec"]["plan"]["canaryTemplate"]
    status = {"status": {"phase": "Progressing", "timeline": [{"kind": "Opened", "message": "x"}]}}
    path = f"{_group(namespace)}/changes/ops-1"
    kept = api.merge_patch(f"{path}/status", status).json()
    assert kept["status"] == status["status"]
    assert api.merge_patch(path, {"spec": {"action": "RollBack"}}).status_code == 200


@pytest.mark.parametrize("field", IMMUTABLE)
def test_what_was_approved_cannot_be_edited(api: ApiClient, namespace: str, field: str) -> None:
    api.made(f"{_group(namespace)}/changes", _change())
    refused = api.merge_patch(f"{_group(namespace)}/changes/ops-1", {"spec": {field: IMMUTABLE[field]}})
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    causes = refused.json()["details"]["causes"]
    assert [cause["field"] for cause in causes] == [f"spec.{field}"]
    assert f"{field} may not be edited" in causes[0]["message"]


def test_a_template_inside_the_plan_cannot_be_edited_where_the_schema_is_open(
    api: ApiClient, namespace: str
) -> None:
    api.made(f"{_group(namespace)}/changes", _change())
    path = "/spec/plan/canaryTemplate/spec/containers/0/image"
    step = {"op": "replace", "path": path, "value": "evil:1"}
    assert api.json_patch(f"{_group(namespace)}/changes/ops-1", step).status_code == 422


def test_every_rule_that_we_ship_is_shown_to_refuse_something() -> None:
    found = {
        (path, rule)
        for definition in shipped_definitions()
        for version in definition["spec"]["versions"]
        for path, rule in _rules(version["schema"]["openAPIV3Schema"])
    }
    assert found == {(f"spec.{field}", "self == oldSelf") for field in IMMUTABLE}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": []}, "spec.steps"),
        ({"enforcement": "Maybe"}, "spec.enforcement"),
        ({"steps": [{"weight": 101, "hold": "1m"}]}, "spec.steps[0].weight"),
        ({"target": None}, "spec.target"),
    ],
)
def test_a_wrong_guard_is_refused_by_path(api: ApiClient, namespace: str, change: Json, field: str) -> None:
    (guard,) = _documents("stack/manifests/demo/guard.yaml")
    wrong = copy.deepcopy(guard)
    wrong["metadata"].pop("namespace", None)
    wrong["spec"] |= change
    refused = api.post(f"{_group(namespace)}/guards", json=wrong)
    assert refused.status_code == 422
    assert field in [cause["field"] for cause in refused.json()["details"]["causes"]]


def test_the_stacks_route_is_valid_by_the_official_definition(api: ApiClient, namespace: str) -> None:
    (route,) = _documents("stack/manifests/runtime/route.yaml")
    route["metadata"]["namespace"] = namespace
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    made = api.post(path, json=route, params={"fieldValidation": "Strict"})
    assert made.status_code == 201, made.text
    backends = made.json()["spec"]["rules"][0]["backendRefs"]
    assert [(ref["kind"], ref["weight"]) for ref in backends] == [("Service", 100), ("Service", 0)]


def test_a_rule_of_the_gateway_api_in_cel_holds(api: ApiClient, namespace: str) -> None:
    (route,) = _documents("stack/manifests/runtime/route.yaml")
    route["metadata"]["namespace"] = namespace
    for ref in route["spec"]["rules"][0]["backendRefs"]:
        ref.pop("port")
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    refused = api.post(path, json=route)
    assert refused.status_code == 422
    assert "Must have port for Service reference" in refused.json()["message"]
