"""A cluster for each test that asks: its URL, an HTTP client on it, and a namespace of its own.

`api` and `namespace` need nothing of the double: with TIDEGATE_CONTRACT_URL set (what `kubectl proxy`
prints, say) the files named `*_contract.py` run against that API server. `cluster` is the double itself.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient
from tests.testing.cluster.documents import THINGS

HOST = "127.10.0.1"


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    given = os.environ.get("TIDEGATE_CONTRACT_URL")
    if given:
        yield given
        return
    with FakeCluster.serve(host=HOST) as cluster:
        yield cluster.url


@pytest.fixture
def cluster(end_aside: Callable[[Callable[[], None]], None]) -> Iterator[FakeCluster]:
    """A fresh double, for tests that count, compact or break it."""
    serving = ExitStack()
    yield serving.enter_context(FakeCluster.serve(host=HOST))
    end_aside(serving.close)


@pytest.fixture
def direct(cluster: FakeCluster) -> Iterator[ApiClient]:
    """A client of the fresh double."""
    with ApiClient(cluster.url) as client:
        yield client


@pytest.fixture(scope="session")
def api(base_url: str) -> Iterator[ApiClient]:
    with ApiClient(base_url) as client:
        yield client


@pytest.fixture
def namespace(api: ApiClient) -> Iterator[str]:
    """A new namespace; its name."""
    name = api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})["metadata"]["name"]
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def core(namespace: str) -> Callable[[str], str]:
    """Path of a core resource in the test's namespace: `core("configmaps/a")`."""
    return lambda path: f"/api/v1/namespaces/{namespace}/{path}"


@pytest.fixture
def apps(namespace: str) -> Callable[[str], str]:
    """Path of an apps/v1 resource in the test's namespace."""
    return lambda path: f"/apis/apps/v1/namespaces/{namespace}/{path}"


@pytest.fixture
def things(api: ApiClient, namespace: str) -> str:
    """The path of a custom resource's collection; its definition is registered once."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    if api.get(f"{definitions}/things.test.tidegate.dev").status_code == 404:
        api.made(definitions, THINGS)
    return f"/apis/test.tidegate.dev/v1/namespaces/{namespace}/things"
