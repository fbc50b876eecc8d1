"""Server-side apply: ownership, conflicts, and removal of what is no longer applied."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import deployment

Path = Callable[[str], str]


def _config(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def _managers(document: Json) -> dict[tuple[str, str], Json]:
    rows = document["metadata"].get("managedFields", [])
    return {(row["manager"], row["operation"]): row["fieldsV1"] for row in rows}


def test_apply_creates_and_then_changes(api: ApiClient, core: Path) -> None:
    created = api.apply(core("configmaps/a"), _config(x="1"), "one")
    assert created.status_code == 201
    changed = api.apply(core("configmaps/a"), _config(x="2"), "one")
    assert changed.status_code == 200
    assert changed.json()["data"] == {"x": "2"}
    assert _managers(changed.json())["one", "Apply"] == {"f:data": {"f:x": {}}}


def test_applying_the_same_again_writes_nothing(api: ApiClient, core: Path) -> None:
    first = api.apply(core("configmaps/a"), _config(x="1"), "one").json()
    second = api.apply(core("configmaps/a"), _config(x="1"), "one").json()
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_field_of_another_manager_conflicts_by_name(api: ApiClient, core: Path) -> None:
    api.apply(core("configmaps/a"), _config(x="1"), "one")
    refused = api.apply(core("configmaps/a"), _config(x="2"), "two")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    cause = refused.json()["details"]["causes"][0]
    assert cause["reason"] == "FieldManagerConflict"
    assert cause["field"] == ".data.x"
    assert 'conflict with "one"' in cause["message"]


def test_force_takes_the_field_over(api: ApiClient, core: Path) -> None:
    api.apply(core("configmaps/a"), _config(x="1", y="1"), "one")
    forced = api.apply(core("configmaps/a"), _config(x="2"), "two", force="true").json()
    assert forced["data"] == {"x": "2", "y": "1"}
    assert _managers(forced)["one", "Apply"] == {"f:data": {"f:y": {}}}


def test_a_field_no_longer_applied_is_removed(api: ApiClient, core: Path) -> None:
    api.apply(core("configmaps/a"), _config(x="1", y="1"), "one")
    assert api.apply(core("configmaps/a"), _config(x="1"), "one").json()["data"] == {"x": "1"}


def test_a_field_that_another_manager_also_applies_stays(api: ApiClient, core: Path) -> None:
    api.apply(core("configmaps/a"), _config(x="1", y="1"), "one")
    api.apply(core("configmaps/a"), _config(y="1"), "two")
    assert api.apply(core("configmaps/a"), _config(x="1"), "one").json()["data"] == {"x": "1", "y": "1"}


def test_a_patch_owns_what_it_changed(api: ApiClient, core: Path) -> None:
    api.apply(core("configmaps/a"), _config(x="1", y="1"), "one")
    changed = api.merge_patch(core("configmaps/a"), {"data": {"x": "2"}}, fieldManager="hand").json()
    managers = _managers(changed)
    assert managers["hand", "Update"] == {"f:data": {"f:x": {}}}
    assert managers["one", "Apply"] == {"f:data": {"f:y": {}}}
    assert api.apply(core("configmaps/a"), _config(x="3", y="1"), "one").status_code == 409


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


def test_apply_needs_a_manager(api: ApiClient, core: Path) -> None:
    refused = api.send_patch(core("configmaps/a"), "apply-patch+yaml", _config(x="1"))
    assert refused.status_code == 422
    assert "fieldManager" in refused.json()["message"]


def test_a_custom_resource_is_applied_by_its_schemas_lists(api: ApiClient, things: str) -> None:
    head: Json = {"apiVersion": "test.tidegate.dev/v1", "kind": "Thing", "metadata": {"name": "a"}}
    api.apply(f"{things}/a", head | {"spec": {"size": 1, "parts": [{"name": "x"}]}}, "one")
    both = api.apply(f"{things}/a", head | {"spec": {"parts": [{"name": "y", "weight": 5}]}}, "two").json()
    assert both["spec"]["parts"] == [{"name": "x", "weight": 1}, {"name": "y", "weight": 5}]
