"""FakeCluster in front of the real machinery: one address, and nobody notices the seam."""

import threading
from pathlib import Path

import pytest

from guard.testing.apiserver.machinery import ApiMachinery
from guard.testing.cluster import FakeCluster
from tests.testing.apiserver.conftest import DEFINITIONS
from tests.testing.cluster.api_client import ApiClient, Json, eventually

pytestmark = pytest.mark.api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
Front = tuple[FakeCluster, ApiMachinery]


def _route(name: str = "chat") -> Json:
    backends = [{"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]
    spec = {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": backends}]}
    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return head | {"metadata": {"name": name}, "spec": spec}


def _routes(namespace: str) -> str:
    return f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"


def test_discovery_lists_the_groups_of_both_once(api: ApiClient) -> None:
    groups = [group["name"] for group in api.read("/apis")["groups"]]
    assert {"apps", "apiextensions.k8s.io", "tidegate.dev", "gateway.networking.k8s.io"} <= set(groups)
    assert len(groups) == len(set(groups))
    answer = api.get("/apis", headers={"accept": f"{AGGREGATED},application/json"})
    items = [item["metadata"]["name"] for item in answer.json()["items"]]
    assert sorted(items) == sorted(groups)


def test_the_schemas_of_both_are_published(api: ApiClient) -> None:
    paths = api.read("/openapi/v3")["paths"]
    for path in ("apis/apps/v1", "apis/tidegate.dev/v1alpha1", "apis/gateway.networking.k8s.io/v1"):
        assert api.read(paths[path]["serverRelativeURL"].partition("?")[0])["openapi"].startswith("3.")


def test_a_watch_through_the_front_shows_a_change_while_it_is_open(api: ApiClient, namespace: str) -> None:
    made = api.made(_routes(namespace), _route())
    with api.watching(_routes(namespace), resourceVersion=made["metadata"]["resourceVersion"]) as events:
        seen: list[int] = []

        def follow() -> None:
            _, document = next(events)
            seen.append(document["spec"]["rules"][0]["backendRefs"][1]["weight"])

        reader = threading.Thread(target=follow)
        reader.start()
        weight = {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 10}
        with ApiClient(str(api.base_url)) as other:
            assert other.json_patch(f"{_routes(namespace)}/chat", weight).status_code == 200
        reader.join(5)
    assert seen == [10]


def test_what_the_front_is_asked_is_on_its_record(front: Front, api: ApiClient, namespace: str) -> None:
    api.made(_routes(namespace), _route())
    last = front[0].requests[-1]
    assert (last.method, last.path, last.code) == ("POST", _routes(namespace), 201)


def test_the_clients_own_name_stands_in_managed_fields(api: ApiClient, namespace: str) -> None:
    answer = api.post(_routes(namespace), json=_route(), headers={"user-agent": "tidegate-guard/1"})
    assert answer.json()["metadata"]["managedFields"][0]["manager"] == "tidegate-guard"


def test_a_fault_of_the_front_hits_the_other_servers_kinds_too(
    front: Front, api: ApiClient, namespace: str
) -> None:
    front[0].fail_next(code=503, path="httproutes")
    assert api.get(_routes(namespace)).status_code == 503
    assert api.get(_routes(namespace)).status_code == 200


def test_the_machinery_that_is_gone_is_unavailable_and_comes_back_with_its_objects(
    front: Front, api: ApiClient, namespace: str
) -> None:
    made = api.made(_routes(namespace), _route())
    front[1].stop_serving()
    gone = api.get(_routes(namespace))
    assert (gone.status_code, gone.json()["reason"]) == (503, "ServiceUnavailable")
    assert api.get("/api/v1/namespaces").status_code == 200
    front[1].restart()
    assert eventually(lambda: api.get(f"{_routes(namespace)}/chat").is_success, 30)
    assert api.read(f"{_routes(namespace)}/chat") == made


def test_a_front_serves_no_definitions_of_its_own(tmp_path: Path, api: ApiClient, front: Front) -> None:
    with pytest.raises(ValueError, match="no such kind here"):
        front[0].apply([_route()])
    assert api.get(f"{DEFINITIONS}/httproutes.gateway.networking.k8s.io").status_code == 200


def test_a_caller_who_may_not_is_refused_before_the_other_server_is_asked(
    api: ApiClient, namespace: str
) -> None:
    someone = {"impersonate-user": f"system:serviceaccount:{namespace}:nobody", "impersonate-uid": "1"}
    assert api.get(_routes(namespace), headers=someone).status_code == 403
    rule = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": ["list"]}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.made(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "nobody", "namespace": namespace}
    role = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "r"}, "subjects": [subject], "roleRef": role}
    api.made(f"{rbac}/rolebindings", binding)
    assert api.get(_routes(namespace), headers=someone).status_code == 200
