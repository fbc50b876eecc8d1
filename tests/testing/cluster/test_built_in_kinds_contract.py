"""What the server adds to built-in kinds, and the rules that it keeps."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient
from tests.testing.cluster.documents import deployment

Path = Callable[[str], str]


def test_a_deployment_gets_its_defaults(api: ApiClient, apps: Path) -> None:
    body = deployment()
    del body["spec"]["replicas"]
    spec = api.made(apps("deployments"), body)["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_a_service_gets_an_address_and_keeps_it(api: ApiClient, core: Path) -> None:
    spec = api.made(core("services"), {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})["spec"]
    assert spec["clusterIP"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    changed = api.merge_patch(core("services/s"), {"spec": {"selector": {"app": "web"}}}).json()
    assert changed["spec"]["clusterIP"] == spec["clusterIP"]


def test_a_headless_service_stays_headless(api: ApiClient, core: Path) -> None:
    body = {"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    assert api.made(core("services"), body)["spec"]["clusterIP"] == "None"


def test_a_pod_begins_pending(api: ApiClient, core: Path) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert api.made(core("pods"), body)["status"]["phase"] == "Pending"


def test_plain_secret_text_is_read_back_encoded(api: ApiClient, core: Path) -> None:
    made = api.made(core("secrets"), {"metadata": {"name": "s"}, "stringData": {"key": "value"}})
    assert made["data"] == {"key": "dmFsdWU="}
    assert "stringData" not in made


def test_a_deployment_that_does_not_select_its_own_pods_is_refused(api: ApiClient, apps: Path) -> None:
    body = deployment()
    body["spec"]["selector"]["matchLabels"] = {"app": "other"}
    refused = api.post(apps("deployments"), json=body)
    assert refused.status_code == 422
    assert "`selector` does not match template `labels`" in refused.json()["message"]


def test_a_deployments_selector_is_immutable(api: ApiClient, apps: Path) -> None:
    api.made(apps("deployments"), deployment())
    labels = {"app": "web", "x": "y"}
    template = {"metadata": {"labels": labels}}
    refused = api.merge_patch(
        apps("deployments/web"), {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    )
    assert refused.status_code == 422
    assert "field is immutable" in refused.json()["message"]


def test_a_wrong_type_in_a_built_in_kind_does_not_decode(api: ApiClient, apps: Path) -> None:
    body = deployment()
    body["spec"]["replicas"] = "two"
    refused = api.post(apps("deployments"), json=body)
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")
    assert "spec.replicas" in refused.json()["message"]


def test_an_event_of_the_new_api_shows_in_the_old_one(api: ApiClient, core: Path, namespace: str) -> None:
    regarding = {"kind": "Deployment", "name": "web", "namespace": namespace, "apiVersion": "apps/v1"}
    event = {
        "metadata": {"name": "web.1"},
        "eventTime": "2025-01-01T00:00:00.000000Z",
        "type": "Warning",
        "reason": "RolledBack",
        "note": "errors rose",
        "action": "RollBack",
        "regarding": regarding,
        "reportingController": "tidegate.dev/guard",
        "reportingInstance": "guard-0",
    }
    api.made(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
    found = api.read(core("events"), fieldSelector="involvedObject.name=web,involvedObject.kind=Deployment")
    assert [(item["reason"], item["message"]) for item in found["items"]] == [("RolledBack", "errors rose")]
    new = api.read(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/web.1")
    assert new["note"] == "errors rose"
    assert new["regarding"]["name"] == "web"
