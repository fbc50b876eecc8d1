"""One front with the real machinery behind it, with our definitions and the Gateway API's official ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from guard.testing.apiserver.behind import machinery_behind
from guard.testing.apiserver.machinery import ApiMachinery
from guard.testing.apiserver.parts import missing_parts
from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient, Json, eventually

HOST = "127.88.1.1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SHIPPED = Path(__file__).parents[3] / "deploy/crds.yaml"


def shipped_definitions() -> list[Json]:
    """deploy/crds.yaml."""
    return list(yaml.safe_load_all(SHIPPED.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeCluster, ApiMachinery]]:
    problem = missing_parts()
    if problem:
        pytest.fail(problem)
    folder = tmp_path_factory.mktemp("machinery")
    with FakeCluster.serve(host=HOST) as cluster, machinery_behind(cluster, folder, HOST) as machinery:
        with ApiClient(cluster.url) as client:
            for definition in shipped_definitions():
                client.made(DEFINITIONS, definition)
            kinds = [definition["spec"]["names"]["plural"] for definition in shipped_definitions()]
            paths = [f"/apis/tidegate.dev/v1alpha1/{kind}" for kind in kinds]
            assert eventually(lambda: all(client.get(path).is_success for path in paths))
        yield cluster, machinery


@pytest.fixture
def api(front: tuple[FakeCluster, ApiMachinery]) -> Iterator[ApiClient]:
    with ApiClient(front[0].url) as client:
        yield client


@pytest.fixture
def namespace(api: ApiClient) -> Iterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
    name = api.made("/api/v1/namespaces", body)["metadata"]["name"]
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
