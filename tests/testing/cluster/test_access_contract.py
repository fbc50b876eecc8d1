"""Callers who say who they are: RBAC decides for them, and reviews tell the same."""

import pytest

from tests.testing.cluster.api_client import ApiClient, Json

READER = "system:serviceaccount:{namespace}:reader"
RULES = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
]
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.fixture
def reader(api: ApiClient, namespace: str) -> dict[str, str]:
    """Headers of a service account that may read ConfigMaps and one Secret in the test's namespace."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.made(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": RULES})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    api.made(f"{rbac}/rolebindings", {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [subject]})
    return {"impersonate-user": READER.format(namespace=namespace)}


def test_what_a_role_gives_is_allowed(api: ApiClient, namespace: str, reader: Json) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert api.get(path, headers=reader).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", "/api/v1/namespaces/{namespace}/configmaps", "create"),
        ("GET", "/api/v1/namespaces/{namespace}/configmaps?watch=1", "watch"),
        ("GET", "/api/v1/configmaps", "list"),
        ("GET", "/api/v1/namespaces/default/configmaps", "list"),
        ("GET", "/api/v1/namespaces/{namespace}/secrets/other", "get"),
        ("PATCH", "/apis/apps/v1/namespaces/{namespace}/deployments/a", "patch"),
    ],
    ids=[
        "other verb",
        "watch is no list",
        "all namespaces",
        "other namespace",
        "other name",
        "not the subresource",
    ],
)
def test_what_no_role_gives_is_403_and_says_what(
    api: ApiClient, namespace: str, reader: Json, method: str, path: str, verb: str
) -> None:
    refused = api.request(method, path.format(namespace=namespace), headers=reader)
    body = refused.json()
    assert (refused.status_code, body["reason"]) == (403, "Forbidden")
    assert f'User "{reader["impersonate-user"]}" cannot {verb} resource' in body["message"]


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "get", "resource": "configmaps"}, True),
        ({"verb": "get", "resource": "secrets", "name": "mine"}, True),
        ({"verb": "get", "resource": "secrets"}, False),
        ({"verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"}, True),
        ({"verb": "patch", "group": "apps", "resource": "deployments"}, False),
        ({"verb": "get", "resource": "configmaps", "namespace": "default"}, False),
    ],
    ids=["a verb", "a named object", "not all of them", "a subresource", "not its parent", "not elsewhere"],
)
def test_a_review_says_what_a_call_would_meet(
    api: ApiClient, namespace: str, reader: Json, attributes: Json, allowed: bool
) -> None:
    asked = {"namespace": namespace, **attributes}
    document = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = api.post(REVIEWS, json=document, headers=reader)
    assert (answer.status_code, answer.json()["status"]["allowed"]) == (201, allowed)


def test_a_caller_may_ask_who_he_is(api: ApiClient, namespace: str, reader: Json) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    document = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = api.post(path, json=document, headers=reader).json()["status"]["userInfo"]
    assert user["username"] == reader["impersonate-user"]
    assert f"system:serviceaccounts:{namespace}" in user["groups"]
