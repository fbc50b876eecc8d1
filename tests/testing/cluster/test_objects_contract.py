"""Create, read, replace and delete, as every API server does it."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient

Path = Callable[[str], str]


def _config(name: str = "a", **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_created_object_gets_identity_and_revision(api: ApiClient, core: Path, namespace: str) -> None:
    made = api.made(core("configmaps"), _config(x="1"))
    fields = made["metadata"]
    assert fields["namespace"] == namespace
    assert fields["uid"]
    assert fields["creationTimestamp"].endswith("Z")
    assert int(fields["resourceVersion"]) > 0
    assert api.get(core("configmaps/a")).json() == made


def test_a_second_object_of_the_same_name_already_exists(api: ApiClient, core: Path) -> None:
    api.made(core("configmaps"), _config())
    refused = api.post(core("configmaps"), json=_config())
    assert (refused.status_code, refused.json()["reason"]) == (409, "AlreadyExists")
    assert refused.json()["message"] == 'configmaps "a" already exists'
    assert refused.json()["details"] == {"name": "a", "kind": "configmaps"}


def test_an_absent_object_is_a_status_that_names_it(api: ApiClient, namespace: str) -> None:
    missing = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/none")
    assert missing.status_code == 404
    assert missing.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_a_replacement_with_a_stale_revision_conflicts(api: ApiClient, core: Path) -> None:
    old = api.made(core("configmaps"), _config(x="1"))
    api.merge_patch(core("configmaps/a"), {"data": {"x": "2"}})
    refused = api.put(core("configmaps/a"), json=old | {"data": {"x": "3"}})
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refused.json()["message"]
    assert api.get(core("configmaps/a")).json()["data"] == {"x": "2"}


def test_writing_the_same_again_makes_no_new_revision(api: ApiClient, core: Path) -> None:
    made = api.made(core("configmaps"), _config(x="1"))
    again = api.put(core("configmaps/a"), json=made).json()
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_deleted_object_is_gone(api: ApiClient, core: Path) -> None:
    made = api.made(core("configmaps"), _config())
    answer = api.delete(core("configmaps/a")).json()
    assert answer["status"] == "Success"
    assert answer["details"]["uid"] == made["metadata"]["uid"]
    assert api.get(core("configmaps/a")).status_code == 404


def test_a_failed_json_patch_test_is_invalid_and_changes_nothing(api: ApiClient, core: Path) -> None:
    made = api.made(core("configmaps"), _config(x="1"))
    refused = api.json_patch(
        core("configmaps/a"),
        {"op": "replace", "path": "/data/x", "value": "2"},
        {"op": "test", "path": "/metadata/uid", "value": "another"},
    )
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert api.get(core("configmaps/a")).json() == made
