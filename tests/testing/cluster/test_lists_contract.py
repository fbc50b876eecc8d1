"""Lists: selectors and chunks."""

from collections.abc import Callable

import pytest

from tests.testing.cluster.api_client import ApiClient
from tests.testing.cluster.documents import Collection

Path = Callable[[str], str]


@pytest.fixture
def labelled(api: ApiClient, configs: Collection) -> str:
    rows = {"a": {"tier": "web", "size": "3"}, "b": {"tier": "db"}, "c": {}}
    for name, labels in rows.items():
        api.made(configs.path, configs.document(name, labels=labels))
    return configs.path


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=web", ["a"]),
        ("tier==web", ["a"]),
        ("tier!=web", ["b", "c"]),
        ("tier in (web, db)", ["a", "b"]),
        ("tier notin (web)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier=web,size", ["a"]),
        ("size>2", ["a"]),
        ("size<3", []),
    ],
)
def test_a_label_selector_chooses(api: ApiClient, labelled: str, selector: str, expected: list[str]) -> None:
    found = [name for name in api.names(labelled, labelSelector=selector) if name in ("a", "b", "c")]
    assert found == expected


def test_a_selector_that_does_not_parse_is_a_bad_request(api: ApiClient, labelled: str) -> None:
    assert api.get(labelled, params={"labelSelector": "a in b in c"}).status_code == 400


def test_a_field_that_the_kind_has_not_indexed_is_a_bad_request(api: ApiClient, labelled: str) -> None:
    refused = api.get(labelled, params={"fieldSelector": "metadata.name=a,data.x=1"})
    assert (refused.status_code, refused.json()["message"]) == (400, "field label not supported: data.x")


def test_a_match_rule_needs_a_revision(api: ApiClient, labelled: str) -> None:
    assert api.get(labelled, params={"resourceVersionMatch": "Exact"}).status_code == 422


def test_a_field_selector_chooses_by_name(api: ApiClient, labelled: str) -> None:
    assert api.names(labelled, fieldSelector="metadata.name=b") == ["b"]


def test_a_field_selector_chooses_pods_by_phase_and_node(api: ApiClient, core: Path) -> None:
    for name, node in (("one", "node-1"), ("two", "node-2")):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        api.made(core("pods"), {"metadata": {"name": name}, "spec": spec})
    assert api.names(core("pods"), fieldSelector="spec.nodeName=node-2") == ["two"]
    assert api.names(core("pods"), fieldSelector="status.phase=Pending,spec.nodeName!=node-2") == ["one"]
    assert api.names(core("pods"), fieldSelector="status.phase!=Pending") == []


def test_chunks_show_one_revision_although_objects_change_between_them(api: ApiClient, labelled: str) -> None:
    first = api.read(labelled, limit="1", labelSelector="tier")
    api.delete(f"{labelled}/b")
    second = api.read(
        labelled, limit="5", labelSelector="tier", **{"continue": first["metadata"]["continue"]}
    )
    seen = [item["metadata"]["name"] for part in (first, second) for item in part["items"]]
    assert seen == ["a", "b"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert not second["metadata"].get("continue")


def test_a_list_without_selectors_says_how_many_remain(api: ApiClient, labelled: str) -> None:
    whole = api.read(labelled)["items"]
    assert api.read(labelled, limit="1")["metadata"]["remainingItemCount"] == len(whole) - 1


def test_a_list_of_all_namespaces_holds_this_one(api: ApiClient, labelled: str, namespace: str) -> None:
    everywhere = labelled.replace(f"/namespaces/{namespace}", "")
    found = api.read(everywhere, fieldSelector=f"metadata.namespace={namespace},metadata.name=a")
    assert [item["metadata"]["namespace"] for item in found["items"]] == [namespace]
