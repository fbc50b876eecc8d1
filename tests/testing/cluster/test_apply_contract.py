"""Server-side apply: ownership, conflicts, and removal of what is no longer applied."""

from collections.abc import Callable

import pytest

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import Collection, deployment, thing

Path = Callable[[str], str]


def _managers(document: Json) -> dict[tuple[str, str], Json]:
    rows = document["metadata"].get("managedFields", [])
    return {(row["manager"], row["operation"]): row["fieldsV1"] for row in rows}


def test_apply_creates_and_then_changes(api: ApiClient, configs: Collection) -> None:
    created = api.apply(configs("a"), configs.document(data={"x": "1"}), "one")
    assert created.status_code == 201
    changed = api.apply(configs("a"), configs.document(data={"x": "2"}), "one")
    assert changed.status_code == 200
    assert changed.json()["data"] == {"x": "2"}
    assert _managers(changed.json())["one", "Apply"] == {"f:data": {"f:x": {}}}


def test_applying_the_same_again_writes_nothing(api: ApiClient, configs: Collection) -> None:
    first = api.apply(configs("a"), configs.document(data={"x": "1"}), "one").json()
    second = api.apply(configs("a"), configs.document(data={"x": "1"}), "one").json()
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_field_of_another_manager_conflicts_by_name(api: ApiClient, configs: Collection) -> None:
    api.apply(configs("a"), configs.document(data={"x": "1"}), "one")
    refused = api.apply(configs("a"), configs.document(data={"x": "2"}), "two")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    cause = refused.json()["details"]["causes"][0]
    assert cause["reason"] == "FieldManagerConflict"
    assert cause["field"] == ".data.x"
    assert 'conflict with "one"' in cause["message"]


def test_force_takes_the_field_over(api: ApiClient, configs: Collection) -> None:
    api.apply(configs("a"), configs.document(data={"x": "1", "y": "1"}), "one")
    forced = api.apply(configs("a"), configs.document(data={"x": "2"}), "two", force="true").json()
    assert forced["data"] == {"x": "2", "y": "1"}
    assert _managers(forced)["one", "Apply"] == {"f:data": {"f:y": {}}}


def test_a_field_no_longer_applied_is_removed(api: ApiClient, configs: Collection) -> None:
    api.apply(configs("a"), configs.document(data={"x": "1", "y": "1"}), "one")
    assert api.apply(configs("a"), configs.document(data={"x": "1"}), "one").json()["data"] == {"x": "1"}


def test_a_field_that_another_manager_also_applies_stays(api: ApiClient, configs: Collection) -> None:
    api.apply(configs("a"), configs.document(data={"x": "1", "y": "1"}), "one")
    api.apply(configs("a"), configs.document(data={"y": "1"}), "two")
    assert api.apply(configs("a"), configs.document(data={"x": "1"}), "one").json()["data"] == {
        "x": "1",
        "y": "1",
    }


def test_a_patch_owns_what_it_changed(api: ApiClient, configs: Collection) -> None:
    api.apply(configs("a"), configs.document(data={"x": "1", "y": "1"}), "one")
    changed = api.merge_patch(configs("a"), {"data": {"x": "2"}}, fieldManager="hand").json()
    managers = _managers(changed)
    assert managers["hand", "Update"] == {"f:data": {"f:x": {}}}
    assert managers["one", "Apply"] == {"f:data": {"f:y": {}}}
    assert api.apply(configs("a"), configs.document(data={"x": "3", "y": "1"}), "one").status_code == 409


def test_list_items_are_owned_by_their_key(api: ApiClient, apps: Path) -> None:
    whole = deployment()
    api.apply(apps("deployments/web"), whole, "one")
    side = {"name": "side", "env": [{"name": "B", "value": "2"}]}
    part = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    part["spec"] = {"template": {"spec": {"containers": [side]}}}
    both = api.apply(apps("deployments/web"), part, "two").json()
    containers = both["spec"]["template"]["spec"]["containers"]
    assert [(item["name"], item["image"]) for item in containers] == [("app", "app:1"), ("side", "side:1")]
    assert containers[1]["env"] == [{"name": "B", "value": "2"}]
    whole["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2"
    changed = api.apply(apps("deployments/web"), whole, "one").json()
    kept = changed["spec"]["template"]["spec"]["containers"]
    assert kept[0]["image"] == "app:2"
    assert kept[1]["env"] == [{"name": "B", "value": "2"}]


def test_an_item_no_longer_applied_is_removed(api: ApiClient, apps: Path) -> None:
    whole = deployment()
    api.apply(apps("deployments/web"), whole, "one")
    del whole["spec"]["template"]["spec"]["containers"][1]
    left = api.apply(apps("deployments/web"), whole, "one").json()
    assert [item["name"] for item in left["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_apply_needs_a_manager(api: ApiClient, configs: Collection) -> None:
    refused = api.send_patch(configs("a"), "apply-patch+yaml", configs.document(data={"x": "1"}))
    assert refused.status_code == 422
    assert "fieldManager" in refused.json()["message"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"sise": 1}, ".spec.sise: field not declared in schema"),
        ({"parts": [{"weight": 1}]}, ".spec.parts: element 0: associative list with keys has an element"),
        ({"parts": [{"name": "x"}] * 2}, '.spec.parts: duplicate entries for key [name="x"]'),
    ],
)
def test_what_the_schema_has_no_place_for_cannot_be_applied(
    api: ApiClient, things: str, spec: Json, why: str
) -> None:
    api.made(things, thing("a", size=1))
    refused = api.apply(f"{things}/a", thing("a", **spec), "one")
    assert refused.status_code == 500  # as an internal error: so it is
    assert why in refused.json()["message"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": ""}, 400),
        ({"metadata": {"name": "b"}}, 400),
        ({"metadata": {"name": "a", "managedFields": []}}, 400),
        ({"metadata": {"name": "a", "resourceVersion": "1"}}, 409),
        ({"metadata": {"name": "a", "uid": "1"}}, 422),
    ],
)
def test_what_is_applied_must_be_the_object_of_the_path(
    api: ApiClient, things: str, change: Json, code: int
) -> None:
    api.made(things, thing("a", size=1))
    assert api.apply(f"{things}/a", thing("a", size=2) | change, "one", force="true").status_code == code


def test_a_custom_resource_is_applied_by_its_schemas_lists(api: ApiClient, things: str) -> None:
    head: Json = {"apiVersion": "test.tidegate.dev/v1", "kind": "Thing", "metadata": {"name": "a"}}
    api.apply(f"{things}/a", head | {"spec": {"size": 1, "parts": [{"name": "x"}]}}, "one")
    both = api.apply(f"{things}/a", head | {"spec": {"parts": [{"name": "y", "weight": 5}]}}, "two").json()
    assert both["spec"]["parts"] == [{"name": "x", "weight": 1}, {"name": "y", "weight": 5}]
