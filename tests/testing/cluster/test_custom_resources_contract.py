"""CustomResourceDefinitions: served at once, and their schema holds."""

import pytest

from tests.testing.cluster.api_client import ApiClient, Json, eventually
from tests.testing.cluster.documents import THINGS, thing

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_a_definition_becomes_established(api: ApiClient, things: str) -> None:
    path = f"{DEFINITIONS}/things.test.tidegate.dev"

    def conditions() -> dict[str, str]:
        rows = api.read(path).get("status", {}).get("conditions", [])
        return {row["type"]: row["status"] for row in rows}

    assert eventually(lambda: conditions() == {"NamesAccepted": "True", "Established": "True"})
    assert api.read(path)["status"]["acceptedNames"]["listKind"] == "ThingList"


def test_defaults_are_filled_in(api: ApiClient, things: str) -> None:
    made = api.made(things, thing("a", size=1, parts=[{"name": "x"}]))
    assert made["spec"] == {"size": 1, "mode": "safe", "parts": [{"name": "x", "weight": 1}]}


def test_an_open_object_keeps_what_it_holds(api: ApiClient, things: str) -> None:
    made = api.made(things, thing("a", size=1, open={"any": {"thing": [1]}}))
    assert made["spec"]["open"] == {"any": {"thing": [1]}}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec.size", "Required value"),
        ({"size": "1"}, "spec.size", "must be of type integer"),
        ({"size": 0}, "spec.size", "should be greater than or equal to 1"),
        ({"size": 1, "mode": "odd"}, "spec.mode", 'supported values: "fast", "safe"'),
        ({"size": 1, "hold": "soon"}, "spec.hold", "should match '^[0-9]+(ms|s)$'"),
        ({"size": 1, "parts": {}}, "spec.parts", "must be of type array"),
        ({"size": 1, "parts": [{"weight": 1}]}, "spec.parts[0].name", "Required value"),
        ({"size": 1, "parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", "Duplicate value"),
        (
            {"size": 1, "parts": [{"name": n} for n in "abcd"]},
            "spec.parts",
            "Too many: 4: must have at most 3 items",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("spec") else "",
)
def test_what_the_schema_refuses_is_named_by_path(
    api: ApiClient, things: str, spec: Json, field: str, message: str
) -> None:
    refused = api.post(things, json=thing("a", **spec))
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    causes = {cause["field"]: cause["message"] for cause in refused.json()["details"]["causes"]}
    assert message in causes[field]
    assert 'Thing.test.tidegate.dev "a" is invalid' in refused.json()["message"]


def test_a_patch_cannot_break_the_schema(api: ApiClient, things: str) -> None:
    made = api.made(things, thing("a", size=1))
    assert api.merge_patch(f"{things}/a", {"spec": {"size": -1}}).status_code == 422
    assert api.read(f"{things}/a") == made


def test_a_replacement_needs_a_resource_version(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=1))
    refused = api.put(f"{things}/a", json=thing("a", size=2))
    assert refused.status_code == 422
    assert refused.json()["details"]["causes"][0]["field"] == "metadata.resourceVersion"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ({"kind": "Other"}, 422),
        ({"kind": ""}, 400),
        ({"apiVersion": "test.tidegate.dev/v9"}, 400),
        ({"apiVersion": ""}, 400),
    ],
)
def test_a_body_of_another_kind_is_refused(api: ApiClient, things: str, head: Json, code: int) -> None:
    body = thing("a", size=1)
    assert api.post(things, json=body | head).status_code == code
    made = api.made(things, body)
    assert api.put(f"{things}/a", json=made | head).status_code == code
    assert api.read(f"{things}/a") == made


def test_a_patch_cannot_change_kind_or_identity(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=1))
    refused = api.merge_patch(f"{things}/a", {"kind": "Other"})
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "kind")
    refused = api.merge_patch(f"{things}/a", {"metadata": {"uid": "other"}})
    assert (refused.status_code, refused.json()["details"]["causes"][0]["field"]) == (422, "metadata.uid")
    assert api.merge_patch(f"{things}/a", {"metadata": {"name": "b"}}).status_code == 400


def test_a_null_that_the_schema_does_not_allow_counts_as_absent(api: ApiClient, things: str) -> None:
    made = api.made(things, thing("a", size=1, mode=None, hold=None, open={"any": None}))
    assert made["spec"] == {"size": 1, "mode": "safe", "open": {"any": None}}
    refused = api.post(things, json=thing("b", size=None))
    assert refused.json()["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.size"}
    ]
    assert api.post(things, json=thing("b", size=1, parts=[None])).status_code == 422


@pytest.mark.parametrize("size", [1.5, True, 1e30])
def test_what_is_no_integer_is_refused(api: ApiClient, things: str, size: float) -> None:
    assert api.post(things, json=thing("a", size=size)).status_code == 422


def test_a_removed_definition_is_no_longer_served(api: ApiClient, namespace: str) -> None:
    definition = json_with(THINGS, "gadgets", "Gadget")
    api.made(DEFINITIONS, definition)
    path = f"/apis/test.tidegate.dev/v1/namespaces/{namespace}/gadgets"
    assert eventually(lambda: api.get(path).status_code == 200)
    api.delete(f"{DEFINITIONS}/gadgets.test.tidegate.dev")
    assert eventually(lambda: api.get(path).status_code == 404)


def test_a_definition_without_schema_is_refused(api: ApiClient) -> None:
    definition = json_with(THINGS, "blanks", "Blank")
    del definition["spec"]["versions"][0]["schema"]
    assert api.post(DEFINITIONS, json=definition).status_code == 422


def json_with(definition: Json, plural: str, kind: str) -> Json:
    """The definition under another name."""
    spec = definition["spec"]
    versions = [dict(spec["versions"][0])]
    changed = spec | {"names": {"plural": plural, "kind": kind}, "versions": versions}
    return definition | {"metadata": {"name": f"{plural}.{spec['group']}"}, "spec": changed}
