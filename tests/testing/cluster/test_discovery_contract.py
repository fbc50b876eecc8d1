"""What a client can find out: versions, resources, schemas, tables."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import Collection, deployment, thing

Path = Callable[[str], str]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def _resource(document: Json, name: str) -> Json:
    return next(row for row in document["resources"] if row["name"] == name)


def _table(api: ApiClient, path: str) -> tuple[list[str], list[Json]]:
    answer = api.get(path, headers={"accept": TABLE})
    table = answer.json()
    assert table["kind"] == "Table"
    return [column["name"] for column in table["columnDefinitions"]], table["rows"]


def test_the_server_says_its_version_and_that_it_is_well(api: ApiClient) -> None:
    assert api.read("/version")["major"] == "1"
    for path in ("/healthz", "/readyz", "/livez"):
        assert api.get(path).text == "ok"


def test_discovery_lists_groups_and_resources(api: ApiClient, things: str) -> None:
    assert "v1" in api.read("/api")["versions"]
    groups = {group["name"]: group["preferredVersion"]["version"] for group in api.read("/apis")["groups"]}
    assert groups["apps"] == "v1"
    assert groups["test.tidegate.dev"] == "v1"
    custom = api.read("/apis/test.tidegate.dev/v1")
    found = _resource(custom, "things")
    assert (found["kind"], found["namespaced"], found["shortNames"], found["categories"]) == (
        "Thing",
        True,
        ["th"],
        ["all"],
    )
    assert {"get", "list", "watch", "patch", "create", "update", "delete"} <= set(found["verbs"])
    assert _resource(custom, "things/status")["kind"] == "Thing"
    scale = _resource(api.read("/apis/apps/v1"), "deployments/scale")
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


def test_discovery_comes_in_one_document_where_asked_for(api: ApiClient, things: str) -> None:
    answer = api.get("/apis", headers={"accept": f"{AGGREGATED},application/json"})
    assert answer.headers["content-type"].replace(" ", "") == AGGREGATED
    group = next(item for item in answer.json()["items"] if item["metadata"]["name"] == "test.tidegate.dev")
    rows = {row["resource"]: row for row in group["versions"][0]["resources"]}
    assert (rows["things"]["scope"], rows["things"]["responseKind"]["kind"]) == ("Namespaced", "Thing")
    assert [row["subresource"] for row in rows["things"]["subresources"]] == ["status"]


def test_the_schema_of_a_custom_kind_is_published(api: ApiClient, things: str) -> None:
    index = api.read("/openapi/v3")["paths"]
    path = index["apis/test.tidegate.dev/v1"]["serverRelativeURL"]
    document = api.read(path.partition("?")[0])
    kinds = {
        kind["kind"]: schema
        for schema in document["components"]["schemas"].values()
        for kind in schema.get("x-kubernetes-group-version-kind", [])
    }
    assert kinds["Thing"]["properties"]["spec"]["properties"]["size"]["type"] == "integer"


def test_an_unknown_path_is_a_status(api: ApiClient) -> None:
    missing = api.get("/apis/none.example.com/v1/nothings")
    assert missing.status_code == 404


def test_a_method_that_a_resource_lacks_is_not_allowed(api: ApiClient) -> None:
    refused = api.put("/api/v1/namespaces", json={})
    assert (refused.status_code, refused.json()["reason"]) == (405, "MethodNotAllowed")


def test_pods_show_ready_status_and_restarts(api: ApiClient, core: Path) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    api.made(core("pods"), {"metadata": {"name": "p"}, "spec": spec})
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    row = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 3, "state": state}
    api.merge_patch(core("pods/p/status"), {"status": {"phase": "Running", "containerStatuses": [row]}})
    columns, rows = _table(api, core("pods"))
    assert columns[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert rows[0]["cells"][:3] == ["p", "0/1", "CrashLoopBackOff"]
    assert str(rows[0]["cells"][3]) == "3"
    assert rows[0]["object"]["metadata"]["name"] == "p"


def test_deployments_show_ready_of_wanted(api: ApiClient, apps: Path) -> None:
    api.made(apps("deployments"), deployment(replicas=2))
    columns, rows = _table(api, apps("deployments/web"))
    assert columns[:5] == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    assert rows[0]["cells"][0] == "web"
    assert rows[0]["cells"][1].endswith("/2")


def test_a_custom_kind_shows_its_own_columns(api: ApiClient, things: str) -> None:
    api.made(things, thing("a", size=3))
    conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
    api.merge_patch(f"{things}/a/status", {"status": {"conditions": conditions}})
    table = api.get(things, headers={"accept": TABLE}).json()
    columns = {column["name"]: column["priority"] for column in table["columnDefinitions"]}
    assert columns == {"Name": 0, "Size": 0, "Ready": 0, "Mode": 1}
    assert table["rows"][0]["cells"] == ["a", 3, "True", "safe"]


def test_a_watch_shows_tables_too(api: ApiClient, things: str) -> None:
    revision = api.made(things, thing("a", size=3))["metadata"]["resourceVersion"]
    api.merge_patch(f"{things}/a", {"spec": {"size": 4}})
    with api.watching(things, headers={"accept": TABLE}, resourceVersion=revision) as events:
        kind, table = next(events)
    assert kind == "MODIFIED"
    assert table["rows"][0]["cells"][:2] == ["a", 4]


def test_metadata_alone_where_asked_for(api: ApiClient, configs: Collection) -> None:
    api.made(configs.path, configs.document(data={"x": "1"}, labels={"mine": "yes"}))
    accept = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"}
    items = api.get(configs.path, headers=accept, params={"labelSelector": "mine"}).json()["items"]
    assert [sorted(item) for item in items] == [["apiVersion", "kind", "metadata"]]


def test_protobuf_alone_is_not_acceptable_for_a_custom_kind(api: ApiClient, things: str) -> None:
    accept = {"accept": "application/vnd.kubernetes.protobuf"}
    assert api.get(things, headers=accept).status_code == 406
