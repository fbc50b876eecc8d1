"""A cluster for each test that asks: its URL, an HTTP client on it, and a namespace of its own.

`api` and `namespace` need nothing of the double, so that contract tests can run against any API server;
`cluster` is the double itself, for the tests of its own features.
"""

from collections.abc import Callable, Iterator

import pytest

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient

HOST = "127.10.0.1"


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[FakeCluster]:
    with FakeCluster.serve(host=HOST) as cluster:
        yield cluster


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    """A fresh double, for tests that count, compact or break it."""
    with FakeCluster.serve(host=HOST) as cluster:
        yield cluster


@pytest.fixture
def api(shared_cluster: FakeCluster) -> Iterator[ApiClient]:
    with ApiClient(base_url=shared_cluster.url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def namespace(api: ApiClient) -> str:
    """A new namespace; its name."""
    created = api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
    return str(created["metadata"]["name"])


@pytest.fixture
def core(namespace: str) -> Callable[[str], str]:
    """Path of a core resource in the test's namespace: `core("configmaps/a")`."""
    return lambda path: f"/api/v1/namespaces/{namespace}/{path}"
