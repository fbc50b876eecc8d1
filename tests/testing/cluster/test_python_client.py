"""The official Python client against the double: typed calls, watch, and the dynamic client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config, watch
from kubernetes.dynamic import DynamicClient

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.documents import THINGS, deployment, thing

pytestmark = pytest.mark.component


@pytest.fixture
def kubernetes(cluster: FakeCluster, tmp_path: Path) -> Iterator[client.ApiClient]:
    path = cluster.write_kubeconfig(tmp_path / "kubeconfig")
    with config.new_client_from_config(str(path)) as connected:
        yield connected


def test_typed_calls_create_patch_and_read(kubernetes: client.ApiClient) -> None:
    apps = client.AppsV1Api(kubernetes)
    apps.create_namespaced_deployment("default", deployment())
    containers = [{"name": "app", "image": "app:2"}]
    apps.patch_namespaced_deployment(
        "web", "default", {"spec": {"template": {"spec": {"containers": containers}}}}
    )
    read = apps.read_namespaced_deployment("web", "default")
    assert [item.image for item in read.spec.template.spec.containers] == ["app:2", "side:1"]
    apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 4}})
    assert apps.read_namespaced_deployment("web", "default").spec.replicas == 4


def test_a_refusal_is_an_api_exception_with_its_reason(kubernetes: client.ApiClient) -> None:
    with pytest.raises(client.ApiException) as caught:
        client.CoreV1Api(kubernetes).read_namespaced_pod("none", "default")
    assert caught.value.status == 404
    assert '"reason":"NotFound"' in caught.value.body


def test_its_watch_follows_a_list(cluster: FakeCluster, kubernetes: client.ApiClient) -> None:
    core = client.CoreV1Api(kubernetes)
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}])
    seen = []
    stream = watch.Watch()
    for event in stream.stream(core.list_namespaced_config_map, "default", timeout_seconds=1):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 1:
            core.delete_namespaced_config_map("a", "default")
        else:
            stream.stop()
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_its_leases_conflict_on_a_stale_revision(kubernetes: client.ApiClient) -> None:
    leases = client.CoordinationV1Api(kubernetes)
    body = {"metadata": {"name": "guard"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    made = leases.create_namespaced_lease("default", body)
    made.spec.holder_identity = "b"
    leases.replace_namespaced_lease("guard", "default", made)
    with pytest.raises(client.ApiException) as caught:
        leases.replace_namespaced_lease("guard", "default", made)
    assert caught.value.status == 409


def test_the_dynamic_client_discovers_custom_kinds(
    cluster: FakeCluster, kubernetes: client.ApiClient
) -> None:
    cluster.apply([THINGS])
    things = DynamicClient(kubernetes).resources.get(api_version="test.tidegate.dev/v1", kind="Thing")
    things.create(body=thing("a", size=2), namespace="default")
    assert things.get(name="a", namespace="default").spec.mode == "safe"
