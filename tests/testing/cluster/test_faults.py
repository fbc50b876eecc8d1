"""What only the double can do: fail on demand, forget history, and say what it was asked."""

import threading

import httpx
import pytest

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient

pytestmark = pytest.mark.component

CONFIGS = "/api/v1/namespaces/default/configmaps"


def test_the_next_requests_fail_as_told(cluster: FakeCluster, direct: ApiClient) -> None:
    cluster.fail_next(2, code=503, method="GET", path="configmaps")
    assert direct.get("/api/v1/namespaces").status_code == 200
    assert [direct.get(CONFIGS).status_code for _ in range(3)] == [503, 503, 200]
    assert direct.post(CONFIGS, json={"metadata": {"name": "a"}}).status_code == 201


def test_a_failed_write_is_not_kept(cluster: FakeCluster, direct: ApiClient) -> None:
    cluster.fail_next(method="POST")
    refused = direct.post(CONFIGS, json={"metadata": {"name": "a"}})
    assert (refused.status_code, refused.json()["reason"]) == (500, "InternalError")
    assert direct.get(f"{CONFIGS}/a").status_code == 404


def test_a_dropped_connection_has_no_answer(cluster: FakeCluster, direct: ApiClient) -> None:
    cluster.fail_next(kind="drop")
    with pytest.raises(httpx.TransportError):
        direct.get(CONFIGS)
    assert direct.get(CONFIGS).status_code == 200


def test_a_hanging_request_ends_by_the_clients_timeout(cluster: FakeCluster, direct: ApiClient) -> None:
    cluster.fail_next(kind="hang")
    with pytest.raises(httpx.ReadTimeout):
        direct.get(CONFIGS, timeout=0.2)
    assert direct.get(CONFIGS).status_code == 200


def test_an_answer_lost_after_the_write_leaves_the_write(cluster: FakeCluster, direct: ApiClient) -> None:
    cluster.fail_next(kind="lose_answer", method="POST")
    with pytest.raises(httpx.TransportError):
        direct.post(CONFIGS, json={"metadata": {"name": "a"}})
    assert direct.get(f"{CONFIGS}/a").status_code == 200


def test_a_paused_server_answers_when_it_goes_on(cluster: FakeCluster, direct: ApiClient) -> None:
    with cluster.paused(), pytest.raises(httpx.ReadTimeout):
        direct.get(CONFIGS, timeout=0.2)
    assert direct.get(CONFIGS).status_code == 200


def test_a_paused_server_holds_watches_back(cluster: FakeCluster, direct: ApiClient) -> None:
    with direct.watching(CONFIGS, fieldSelector="metadata.name=a") as events:
        with cluster.paused():
            cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}])
            seen: list[str] = []
            reader = threading.Thread(target=lambda: seen.append(next(events)[0]))
            reader.start()
            reader.join(0.2)
            assert seen == []
        reader.join(5)
    assert seen == ["ADDED"]


def test_an_unreachable_server_breaks_old_and_new_connections(
    cluster: FakeCluster, direct: ApiClient
) -> None:
    with direct.watching(CONFIGS) as events:
        with cluster.unreachable():
            with pytest.raises(httpx.TransportError):
                list(events)
            with pytest.raises(httpx.TransportError):
                direct.get(CONFIGS)
        assert direct.get(CONFIGS).status_code == 200


def test_a_watch_from_the_present_survives_compaction(cluster: FakeCluster, direct: ApiClient) -> None:
    revision = direct.read(CONFIGS)["metadata"]["resourceVersion"]
    with direct.watching(CONFIGS, resourceVersion=revision) as events:
        cluster.compact()
        direct.made(CONFIGS, {"metadata": {"name": "a"}})
        assert next(events)[0] == "ADDED"


def test_the_request_log_tells_who_wrote_what(cluster: FakeCluster, direct: ApiClient) -> None:
    direct.made(CONFIGS, {"metadata": {"name": "a"}})
    direct.json_patch(f"{CONFIGS}/a", {"op": "add", "path": "/data", "value": {}}, dryRun="All")
    direct.get(CONFIGS)
    assert [(entry.method, entry.path, entry.code) for entry in cluster.requests if entry.writes] == [
        ("POST", CONFIGS, 201)
    ]
    patch = next(entry for entry in cluster.requests if entry.method == "PATCH")
    assert patch.content_type == "application/json-patch+json"
    assert patch.document() == [{"op": "add", "path": "/data", "value": {}}]


def test_objects_outlive_a_restart_of_the_server() -> None:
    cluster = FakeCluster()
    with cluster.serving(host="127.10.0.1"), ApiClient(cluster.url) as client:
        made = client.made(CONFIGS, {"metadata": {"name": "a"}})
    with cluster.serving(host="127.10.0.1"), ApiClient(cluster.url) as client:
        assert client.read(f"{CONFIGS}/a") == made


def test_a_server_that_stops_ends_its_watches(direct: ApiClient) -> None:
    cluster = FakeCluster()
    with cluster.serving(host="127.10.0.1"):
        client = ApiClient(cluster.url)
        answer = client.send(client.build_request("GET", CONFIGS, params={"watch": "true"}), stream=True)
    assert answer.read() == b""
    client.close()
