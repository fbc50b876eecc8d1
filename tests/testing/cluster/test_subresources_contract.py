"""Status, scale, generation, dry runs and field validation."""

from collections.abc import Callable

import pytest

from tests.testing.cluster.api_client import ApiClient
from tests.testing.cluster.documents import Collection, deployment, thing

Path = Callable[[str], str]


@pytest.fixture
def web(api: ApiClient, apps: Path) -> str:
    api.made(apps("deployments"), deployment(replicas=2))
    return apps("deployments/web")


def test_the_main_endpoint_ignores_status(api: ApiClient, web: str) -> None:
    changed = api.merge_patch(web, {"spec": {"replicas": 3}, "status": {"replicas": 99}}).json()
    assert changed["spec"]["replicas"] == 3
    assert changed.get("status", {}).get("replicas") != 99


def test_the_status_endpoint_changes_only_status(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=1))
    patch = {"spec": {"size": 9}, "status": {"phase": "Ready"}, "metadata": {"labels": {"x": "y"}}}
    changed = api.merge_patch(f"{things}/a/status", patch).json()
    assert changed["status"] == {"phase": "Ready"}
    assert changed["spec"]["size"] == 1
    assert "labels" not in changed["metadata"]


def test_a_json_patch_of_status_can_test_the_spec(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=1))
    change = {"op": "add", "path": "/status", "value": {"phase": "Ready"}}
    refused = api.json_patch(f"{things}/a/status", {"op": "test", "path": "/spec/size", "value": 2}, change)
    assert refused.status_code == 422
    kept = api.json_patch(f"{things}/a/status", {"op": "test", "path": "/spec/size", "value": 1}, change)
    assert kept.json()["status"] == {"phase": "Ready"}


def test_a_created_object_has_no_status_of_the_clients(api: ApiClient, things: str) -> None:
    assert "status" not in api.made(things, thing("a", size=1) | {"status": {"phase": "Ready"}})


def test_generation_grows_with_the_spec_only(api: ApiClient, web: str) -> None:
    assert api.read(web)["metadata"]["generation"] == 1
    assert api.merge_patch(web, {"metadata": {"labels": {"x": "y"}}}).json()["metadata"]["generation"] == 1
    assert api.merge_patch(web, {"spec": {"replicas": 3}}).json()["metadata"]["generation"] == 2


def test_a_custom_kinds_generation_grows_with_the_spec_only(api: ApiClient, things: str) -> None:
    path = f"{things}/a"
    assert api.made(things, thing("a", size=1))["metadata"]["generation"] == 1
    assert api.merge_patch(path, {"metadata": {"labels": {"x": "y"}}}).json()["metadata"]["generation"] == 1
    status = {"status": {"observedGeneration": 1}}
    assert api.merge_patch(f"{path}/status", status).json()["metadata"]["generation"] == 1
    changed = api.merge_patch(path, {"spec": {"size": 2}}).json()
    assert changed["metadata"]["generation"] == 2
    assert changed["status"] == {"observedGeneration": 1}
    assert api.merge_patch(path, {"spec": {"size": 2}}).json()["metadata"]["generation"] == 2


def test_scale_reads_and_writes_replicas(api: ApiClient, web: str) -> None:
    scale = api.read(f"{web}/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2})
    assert scale["status"]["selector"] == "app=web"
    assert api.merge_patch(f"{web}/scale", {"spec": {"replicas": 5}}).json()["spec"] == {"replicas": 5}
    assert api.put(f"{web}/scale", json=scale | {"spec": {"replicas": 7}}).status_code == 409
    scale["metadata"].pop("resourceVersion")
    assert api.put(f"{web}/scale", json=scale | {"spec": {"replicas": 0}}).status_code == 200
    assert api.read(web)["spec"]["replicas"] == 0


def test_a_dry_run_answers_and_keeps_nothing(api: ApiClient, configs: Collection) -> None:
    dry = {"dryRun": "All"}
    body = configs.document(data={"x": "1"})
    assert api.post(configs.path, json=body, params=dry).status_code == 201
    assert api.get(configs("a")).status_code == 404
    made = api.made(configs.path, body)
    assert api.merge_patch(configs("a"), {"data": {"x": "2"}}, **dry).json()["data"] == {"x": "2"}
    assert api.delete(configs("a"), params=dry).status_code == 200
    assert api.read(configs("a")) == made


def test_strict_refuses_an_unknown_field_by_its_path(api: ApiClient, apps: Path) -> None:
    body = deployment()
    body["spec"]["replcas"] = 3
    refused = api.post(apps("deployments"), json=body, params={"fieldValidation": "Strict"})
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec.replcas"' in refused.json()["message"]


def test_strict_refuses_an_unknown_field_of_a_custom_kind(api: ApiClient, things: str) -> None:
    body = thing("a", size=1, sise=2, parts=[{"name": "x", "wait": 1}])
    refused = api.post(things, json=body, params={"fieldValidation": "Strict"})
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec.sise"' in refused.json()["message"]
    assert 'unknown field "spec.parts[0].wait"' in refused.json()["message"]


def test_warn_drops_an_unknown_field_and_says_so(api: ApiClient, things: str) -> None:
    body = thing("a", size=1, sise=2)
    made = api.post(things, json=body, params={"fieldValidation": "Warn"})
    assert made.headers["warning"] == '299 - "unknown field \\"spec.sise\\""'
    assert "sise" not in made.json()["spec"]


def test_ignore_drops_an_unknown_field_in_silence(api: ApiClient, things: str) -> None:
    made = api.post(things, json=thing("a", size=1, sise=2), params={"fieldValidation": "Ignore"})
    assert "warning" not in made.headers
    assert "sise" not in made.json()["spec"]


def test_a_review_is_answered_and_not_kept(api: ApiClient) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"verb": "get", "resource": "pods", "namespace": "default"}
    answer = api.post(path, json={"spec": {"resourceAttributes": attributes}})
    assert answer.status_code == 201
    assert answer.json()["status"]["allowed"] is True
