"""Create, read, replace and delete, as every API server does it."""

import pytest

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import Collection


def test_a_created_object_gets_identity_and_revision(
    api: ApiClient, configs: Collection, namespace: str
) -> None:
    made = api.made(configs.path, configs.document(data={"x": "1"}))
    fields = made["metadata"]
    assert fields["namespace"] == namespace
    assert fields["uid"]
    assert fields["creationTimestamp"].endswith("Z")
    assert int(fields["resourceVersion"]) > 0
    assert api.get(configs("a")).json() == made


def test_a_second_object_of_the_same_name_already_exists(api: ApiClient, configs: Collection) -> None:
    api.made(configs.path, configs.document())
    refused = api.post(configs.path, json=configs.document())
    assert (refused.status_code, refused.json()["reason"]) == (409, "AlreadyExists")
    assert refused.json()["message"] == f'{configs.kind.qualified} "a" already exists'
    group = {"group": configs.kind.group} if configs.kind.group else {}
    assert refused.json()["details"] == {"name": "a", "kind": configs.kind.plural} | group


def test_an_absent_object_is_a_status_that_names_it(api: ApiClient, things: str) -> None:
    missing = api.get(f"{things}/none")
    assert missing.status_code == 404
    assert missing.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'things.test.tidegate.dev "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "group": "test.tidegate.dev", "kind": "things"},
        "code": 404,
    }


def test_a_replacement_with_a_stale_revision_conflicts(api: ApiClient, configs: Collection) -> None:
    old = api.made(configs.path, configs.document(data={"x": "1"}))
    api.merge_patch(configs("a"), {"data": {"x": "2"}})
    refused = api.put(configs("a"), json=old | {"data": {"x": "3"}})
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refused.json()["message"]
    assert api.get(configs("a")).json()["data"] == {"x": "2"}


def test_writing_the_same_again_makes_no_new_revision(api: ApiClient, configs: Collection) -> None:
    made = api.made(configs.path, configs.document(data={"x": "1"}))
    again = api.put(configs("a"), json=made).json()
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", ""])
def test_a_bad_name_is_refused(api: ApiClient, configs: Collection, name: str) -> None:
    refused = api.post(configs.path, json=configs.document(name))
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "metadata.name")


def test_a_generated_name_extends_its_prefix(api: ApiClient, configs: Collection) -> None:
    bodies = [configs.document("", generateName="run-") for _ in "ab"]
    names = {api.made(configs.path, body)["metadata"]["name"] for body in bodies}
    assert len(names) == 2
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    ("labels", "code"),
    [({"a b": "x"}, 422), ({"a": "x y"}, 422), ({"/a": "x"}, 422), ({"a": 1}, 400), ({"b.c/a": ""}, 201)],
)
def test_labels_have_a_grammar(api: ApiClient, configs: Collection, labels: Json, code: int) -> None:
    assert api.post(configs.path, json=configs.document(labels=labels)).status_code == code


@pytest.mark.parametrize(
    "options", [{"dryRun": "Some"}, {"fieldManager": "x" * 129}, {"fieldValidation": "Odd"}]
)
def test_an_option_without_meaning_is_refused(api: ApiClient, configs: Collection, options: Json) -> None:
    assert api.post(configs.path, json=configs.document(), params=options).status_code == 422
    assert api.get(configs("a")).status_code == 404


def test_a_body_in_an_unknown_form_is_refused(api: ApiClient, configs: Collection) -> None:
    answer = api.post(configs.path, content=b"x", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "UnsupportedMediaType")
    answer = api.post(configs.path, content=b"{no", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")


def test_a_deleted_object_is_gone(api: ApiClient, configs: Collection) -> None:
    made = api.made(configs.path, configs.document())
    answer = api.delete(configs("a")).json()
    assert answer["status"] == "Success"
    assert answer["details"]["uid"] == made["metadata"]["uid"]
    assert api.get(configs("a")).status_code == 404


def test_a_failed_json_patch_test_is_invalid_and_changes_nothing(api: ApiClient, configs: Collection) -> None:
    made = api.made(configs.path, configs.document(data={"x": "1"}))
    refused = api.json_patch(
        configs("a"),
        {"op": "replace", "path": "/data/x", "value": "2"},
        {"op": "test", "path": "/metadata/uid", "value": "another"},
    )
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert api.get(configs("a")).json() == made
