"""Deletion: finalizers, owners, namespaces, preconditions."""

from collections.abc import Callable

import pytest

from tests.testing.cluster.api_client import ApiClient, Json, eventually
from tests.testing.cluster.documents import Collection

Path = Callable[[str], str]


def _owner(document: Json, *, blocks: bool = False) -> Json:
    fields = document["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": fields["name"], "uid": fields["uid"]}
    return reference | ({"blockOwnerDeletion": True} if blocks else {})


def _gone(api: ApiClient, path: str) -> bool:
    return eventually(lambda: api.get(path).status_code == 404)


def test_a_finalizer_holds_the_object_until_it_is_taken_away(api: ApiClient, configs: Collection) -> None:
    path = configs("a")
    api.made(configs.path, configs.document(finalizers=["example.com/hold"]))
    deleting = api.delete(path).json()
    assert deleting["metadata"]["deletionTimestamp"]
    assert api.read(path)["metadata"]["finalizers"] == ["example.com/hold"]
    refused = api.merge_patch(path, {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}})
    assert refused.status_code == 422
    assert api.merge_patch(path, {"metadata": {"finalizers": None}}).status_code == 200
    assert api.get(path).status_code == 404


def test_background_deletion_takes_the_dependents_along(api: ApiClient, core: Path) -> None:
    owner = api.made(core("configmaps"), {"metadata": {"name": "owner"}})
    api.made(core("configmaps"), {"metadata": {"name": "child", "ownerReferences": [_owner(owner)]}})
    api.delete(core("configmaps/owner"), params={"propagationPolicy": "Background"})
    assert api.get(core("configmaps/owner")).status_code == 404
    assert _gone(api, core("configmaps/child"))


def test_orphaned_dependents_stay_without_their_owner(api: ApiClient, core: Path) -> None:
    owner = api.made(core("configmaps"), {"metadata": {"name": "owner"}})
    api.made(core("configmaps"), {"metadata": {"name": "child", "ownerReferences": [_owner(owner)]}})
    api.delete(core("configmaps/owner"), params={"propagationPolicy": "Orphan"})
    assert _gone(api, core("configmaps/owner"))
    assert "ownerReferences" not in api.read(core("configmaps/child"))["metadata"]


def test_foreground_deletion_waits_for_blocking_dependents(api: ApiClient, core: Path) -> None:
    owner = api.made(core("configmaps"), {"metadata": {"name": "owner"}})
    fields = {"ownerReferences": [_owner(owner, blocks=True)], "finalizers": ["example.com/hold"]}
    api.made(core("configmaps"), {"metadata": {"name": "child"} | fields})
    api.delete(core("configmaps/owner"), params={"propagationPolicy": "Foreground"})
    child = core("configmaps/child")
    assert eventually(lambda: "deletionTimestamp" in api.read(child)["metadata"])
    assert api.read(core("configmaps/owner"))["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.merge_patch(child, {"metadata": {"finalizers": None}})
    assert _gone(api, core("configmaps/owner"))


def test_a_dependent_of_two_owners_goes_with_the_last(api: ApiClient, core: Path) -> None:
    owners = [api.made(core("configmaps"), {"metadata": {"name": name}}) for name in ("one", "two")]
    fields = {"name": "child", "ownerReferences": [_owner(owner) for owner in owners]}
    api.made(core("configmaps"), {"metadata": fields})
    child = core("configmaps/child")
    api.delete(core("configmaps/one"))
    assert eventually(lambda: len(api.read(child)["metadata"]["ownerReferences"]) == 1)
    api.delete(core("configmaps/two"))
    assert _gone(api, child)


def test_a_deleted_namespace_takes_its_objects_along(
    api: ApiClient, configs: Collection, namespace: str
) -> None:
    api.made(configs.path, configs.document())
    api.delete(f"/api/v1/namespaces/{namespace}")
    assert _gone(api, f"/api/v1/namespaces/{namespace}")
    assert api.get(configs("a")).status_code == 404


def test_nothing_is_created_in_a_missing_namespace(api: ApiClient, configs: Collection) -> None:
    path = configs.path.replace(configs.namespace, "tidegate-never")
    missing = api.post(path, json=configs.document())
    assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
    assert missing.json()["message"] == 'namespaces "tidegate-never" not found'


def test_nothing_is_created_in_an_ending_namespace(
    api: ApiClient, core: Path, configs: Collection, namespace: str
) -> None:
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    api.made(core("configmaps"), held)
    api.delete(f"/api/v1/namespaces/{namespace}")
    assert api.read(f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Terminating"
    refused = api.post(configs.path, json=configs.document("b"))
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    path = core("configmaps/held")
    assert eventually(
        lambda: api.merge_patch(path, {"metadata": {"finalizers": None}}).status_code in (200, 404)
    )
    assert _gone(api, f"/api/v1/namespaces/{namespace}")


def test_an_unknown_propagation_policy_keeps_the_object(api: ApiClient, configs: Collection) -> None:
    api.made(configs.path, configs.document())
    assert api.delete(configs("a"), params={"propagationPolicy": "Odd"}).status_code == 422
    assert api.get(configs("a")).status_code == 200


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_a_failed_precondition_keeps_the_object(api: ApiClient, configs: Collection, field: str) -> None:
    api.made(configs.path, configs.document())
    body = {"preconditions": {field: "1"}}
    refused = api.request("DELETE", configs("a"), json=body)
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert api.get(configs("a")).status_code == 200


def test_a_collection_is_deleted_by_selector(api: ApiClient, configs: Collection) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {})):
        api.made(configs.path, configs.document(name, labels=labels))
    api.delete(configs.path, params={"labelSelector": "x=1"})
    left = api.names(configs.path)
    assert "a" not in left
    assert "b" in left


def test_a_pod_on_a_node_ends_when_its_kubelet_says_so(api: ApiClient, core: Path) -> None:
    spec = {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}
    api.made(core("pods"), {"metadata": {"name": "p"}, "spec": spec})
    ending = api.delete(core("pods/p")).json()
    assert ending["metadata"]["deletionGracePeriodSeconds"] == 30
    assert api.get(core("pods/p")).status_code == 200
    api.delete(core("pods/p"), params={"gracePeriodSeconds": "0"})
    assert api.get(core("pods/p")).status_code == 404
