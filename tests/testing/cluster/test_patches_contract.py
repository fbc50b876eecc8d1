"""PATCH with a JSON Patch, a merge patch and a strategic merge patch."""

from collections.abc import Callable

import pytest

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import Collection, deployment, thing

Path = Callable[[str], str]


@pytest.fixture
def config(api: ApiClient, configs: Collection) -> str:
    annotations = {"a/b": "1", "list": "x"}
    api.made(configs.path, configs.document(data={"x": "1"}, annotations=annotations))
    return configs("a")


@pytest.fixture
def web(api: ApiClient, apps: Path) -> str:
    api.made(apps("deployments"), deployment())
    return apps("deployments/web")


def _containers(document: Json) -> list[Json]:
    found: list[Json] = document["spec"]["template"]["spec"]["containers"]
    return found


def test_json_patch_adds_replaces_removes_moves_and_copies(api: ApiClient, config: str) -> None:
    changed = api.json_patch(
        config,
        {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
        {"op": "add", "path": "/data/y", "value": "2"},
        {"op": "replace", "path": "/data/x", "value": "3"},
        {"op": "copy", "from": "/data/x", "path": "/data/z"},
        {"op": "move", "from": "/data/y", "path": "/data/w"},
        {"op": "remove", "path": "/metadata/annotations/list"},
    ).json()
    assert changed["data"] == {"x": "3", "z": "3", "w": "2"}
    assert changed["metadata"]["annotations"] == {"a/b": "1"}


def test_json_patch_inserts_into_lists_and_appends(api: ApiClient, web: str) -> None:
    path = "/spec/template/spec/containers"
    changed = api.json_patch(
        web,
        {"op": "add", "path": f"{path}/0", "value": {"name": "first", "image": "i"}},
        {"op": "add", "path": f"{path}/-", "value": {"name": "last", "image": "i"}},
        {"op": "remove", "path": f"{path}/2"},
    ).json()
    assert [item["name"] for item in _containers(changed)] == ["first", "app", "last"]


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/data/x", "value": "other"},
        {"op": "test", "path": "/data/none", "value": "1"},
        {"op": "test", "path": "/none/deeper", "value": "1"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/deeper", "value": "1"},
        {"op": "replace", "path": "/metadata/finalizers/0", "value": "1"},
        {"op": "add", "path": "data", "value": {}},
        {"op": "odd", "path": "/data"},
        {"op": "add", "path": "/none/deeper", "value": "1"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_invalid(api: ApiClient, config: str, step: Json) -> None:
    before = api.read(config)
    refused = api.json_patch(config, {"op": "add", "path": "/data/y", "value": "2"}, step)
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert not refused.json()["details"].get("causes")  # by which clients tell it from an invalid object
    assert api.read(config) == before


def test_a_json_patch_replaces_a_member_that_is_not_there(api: ApiClient, config: str) -> None:
    step = {"op": "replace", "path": "/data/none", "value": "1"}
    assert api.json_patch(config, step).json()["data"] == {"x": "1", "none": "1"}


def test_a_json_patch_that_does_not_parse_is_a_bad_request(api: ApiClient, config: str) -> None:
    assert api.send_patch(config, "json-patch+json", {"op": "add"}).status_code == 400


def test_a_json_patch_can_test_the_resource_version(api: ApiClient, config: str) -> None:
    revision = api.read(config)["metadata"]["resourceVersion"]
    step = {"op": "test", "path": "/metadata/resourceVersion", "value": revision}
    assert api.json_patch(config, step, {"op": "add", "path": "/data/y", "value": "2"}).status_code == 200
    assert api.json_patch(config, step, {"op": "add", "path": "/data/y", "value": "3"}).status_code == 422


def test_merge_patch_merges_objects_removes_by_null_and_replaces_lists(api: ApiClient, web: str) -> None:
    template = {"spec": {"containers": [{"name": "only", "image": "i"}]}}
    patch = {"metadata": {"labels": {"x": "y"}}, "spec": {"template": template, "minReadySeconds": None}}
    changed = api.merge_patch(web, patch).json()
    assert [item["name"] for item in _containers(changed)] == ["only"]
    assert changed["metadata"]["labels"] == {"x": "y"}


def test_a_merge_patch_with_a_stale_revision_conflicts(api: ApiClient, config: str) -> None:
    revision = api.read(config)["metadata"]["resourceVersion"]
    api.merge_patch(config, {"data": {"y": "2"}})
    stale = {"metadata": {"resourceVersion": revision}, "data": {"y": "3"}}
    assert api.merge_patch(config, stale).status_code == 409


def test_strategic_patch_merges_containers_and_env_by_name(api: ApiClient, web: str) -> None:
    app = {"name": "app", "env": [{"name": "B", "value": "2"}]}
    patch = {"spec": {"template": {"spec": {"containers": [app]}}}}
    changed = api.strategic_patch(web, patch).json()
    first, second = _containers(changed)
    assert first["image"] == "app:1"
    assert {row["name"]: row["value"] for row in first["env"]} == {"A": "1", "B": "2"}
    assert second["name"] == "side"


def test_strategic_patch_deletes_an_item_by_directive(api: ApiClient, web: str) -> None:
    side = {"name": "side", "$patch": "delete"}
    patch = {"spec": {"template": {"spec": {"containers": [side]}}}}
    assert [item["name"] for item in _containers(api.strategic_patch(web, patch).json())] == ["app"]


def test_strategic_patch_replaces_a_list_by_directive(api: ApiClient, web: str) -> None:
    items = [{"$patch": "replace"}, {"name": "new", "image": "i"}]
    patch = {"spec": {"template": {"spec": {"containers": items}}}}
    assert [item["name"] for item in _containers(api.strategic_patch(web, patch).json())] == ["new"]


def test_strategic_patch_orders_items_as_it_says(api: ApiClient, web: str) -> None:
    spec = {
        "$setElementOrder/containers": [{"name": "side"}, {"name": "new"}, {"name": "app"}],
        "containers": [{"name": "new", "image": "i"}],
    }
    changed = api.strategic_patch(web, {"spec": {"template": {"spec": spec}}}).json()
    assert [item["name"] for item in _containers(changed)] == ["side", "new", "app"]


def test_strategic_patch_retains_only_the_keys_it_names(api: ApiClient, web: str) -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert api.strategic_patch(web, patch).json()["spec"]["strategy"] == {"type": "Recreate"}


def test_strategic_patch_takes_finalizers_out_of_the_list(api: ApiClient, core: Path) -> None:
    config = core("configmaps/a")
    api.made(core("configmaps"), {"metadata": {"name": "a"}})
    api.strategic_patch(config, {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}})
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}
    assert api.strategic_patch(config, patch).json()["metadata"]["finalizers"] == ["example.com/b"]
    api.merge_patch(config, {"metadata": {"finalizers": None}})


def test_an_unknown_patch_type_is_refused(api: ApiClient, config: str) -> None:
    refused = api.send_patch(config, "json", {"data": {}})
    assert (refused.status_code, refused.json()["reason"]) == (415, "UnsupportedMediaType")


def test_custom_resources_take_no_strategic_patch(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=1))
    assert api.strategic_patch(f"{things}/a", {"spec": {"size": 2}}).status_code == 415
