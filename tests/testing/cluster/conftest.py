"""What the contract tests ask: the double, Kubernetes' own API machinery behind it, or a whole cluster.

Every test that uses `api` runs against the double (unmarked), against the real machinery (marker `api`) and
against the cluster of TIDEGATE_TEST_KUBECONFIG (marker `cluster`); those of built-in kinds not against the
machinery, which has none. `configs` is a kind with `data`: ConfigMap, or a custom one that should behave the
same. `cluster` is the double itself, for what only it can do.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard.testing.apiserver.parts import missing_parts
from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient, eventually
from tests.testing.cluster.documents import CONFIG_MAP, NOTE, NOTES, THINGS, Collection, Kind

HOST = "127.10.0.1"
MACHINERY_HOST = "127.88.0.1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BUILT_IN = {"core", "apps"}  # fixtures that lead to kinds which only a whole cluster has, or the double

FAKE = pytest.param("fake", id="fake", marks=pytest.mark.component)
REAL = pytest.param("real", id="real", marks=pytest.mark.api)
CLUSTER = pytest.param("cluster", id="cluster", marks=pytest.mark.cluster)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = set(metafunc.fixturenames)
    targets = [FAKE]
    targets += [] if names & BUILT_IN else [REAL]
    targets += [] if "compact" in names else [CLUSTER]
    if "config_kind" in names:
        rows = [
            pytest.param(*target.values, kind, id=f"{target.id}-{kind.plural}", marks=target.marks)
            for target in targets
            for kind in (CONFIG_MAP, NOTE)
            if target is not REAL or kind is NOTE
        ]
        metafunc.parametrize(("target", "config_kind"), rows, indirect=["target"], scope="session")
    elif "target" in names:
        metafunc.parametrize("target", targets, indirect=True, scope="session")


@dataclass(frozen=True)
class Server:
    """One API server under test; `compact` makes it forget its history, where that can be had."""

    url: str
    compact: Callable[[], None] | None = None


@contextmanager
def _double() -> Iterator[Server]:
    with FakeCluster.serve(host=HOST) as cluster:
        yield Server(cluster.url, cluster.compact)


@contextmanager
def _machinery(folder: Path) -> Iterator[Server]:
    from guard.testing.apiserver.behind import machinery_behind

    with (
        FakeCluster.serve(host=MACHINERY_HOST) as front,
        machinery_behind(front, folder, MACHINERY_HOST, gateway_api=False) as machinery,
    ):
        yield Server(front.url, machinery.compact)


@contextmanager
def _whole_cluster() -> Iterator[Server]:
    """Through `kubectl proxy`, which knows every way of signing in."""
    kubectl, kubeconfig = Path(sys.executable).parent / "kubectl", os.environ["TIDEGATE_TEST_KUBECONFIG"]
    command = [kubectl, "--kubeconfig", kubeconfig, "proxy", "--port", "0"]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert proxy.stdout is not None
        yield Server(f"http://{proxy.stdout.readline().split()[-1]}")
    finally:
        proxy.terminate()
        proxy.communicate()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API server under test."""
    problem = missing_parts() if request.param == "real" else None
    if problem:
        pytest.fail(problem)
    servers = {
        "fake": _double,
        "real": lambda: _machinery(tmp_path_factory.mktemp("machinery")),
        "cluster": _whole_cluster,
    }
    with servers[request.param]() as server:
        yield server


@pytest.fixture(scope="session")
def api(target: Server) -> Iterator[ApiClient]:
    with ApiClient(target.url) as client:
        yield client


@pytest.fixture
def compact(target: Server) -> Callable[[], None]:
    """Makes the server forget its history."""
    assert target.compact is not None
    return target.compact


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    """A fresh double, for tests that count, compact or break it."""
    with FakeCluster.serve(host=HOST) as cluster:
        yield cluster


@pytest.fixture
def direct(cluster: FakeCluster) -> Iterator[ApiClient]:
    """A client of the fresh double."""
    with ApiClient(cluster.url) as client:
        yield client


@pytest.fixture
def namespace(api: ApiClient) -> Iterator[str]:
    """A new namespace; its name."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "tidegate-test-"}}
    name = api.made("/api/v1/namespaces", body)["metadata"]["name"]
    yield name
    # A pod on a node that is none would wait for its kubelet, and the namespace for the pod.
    api.delete(f"/api/v1/namespaces/{name}/pods", params={"gracePeriodSeconds": "0"})
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def core(namespace: str) -> Callable[[str], str]:
    """Path of a core resource in the test's namespace: `core("services/a")`."""
    return lambda path: f"/api/v1/namespaces/{namespace}/{path}"


@pytest.fixture
def apps(namespace: str) -> Callable[[str], str]:
    """Path of an apps/v1 resource in the test's namespace."""
    return lambda path: f"/apis/apps/v1/namespaces/{namespace}/{path}"


@pytest.fixture(scope="session")
def definitions(api: ApiClient) -> Iterator[None]:
    """The custom kinds of these tests, served; taken away again."""
    for definition in (THINGS, NOTES):
        api.made(DEFINITIONS, definition)
    group = "/apis/test.tidegate.dev/v1"
    assert eventually(lambda: all(api.get(f"{group}/{kind}").is_success for kind in ("things", "notes")))
    yield
    for definition in (THINGS, NOTES):
        api.delete(f"{DEFINITIONS}/{definition['metadata']['name']}")


@pytest.fixture
def things(definitions: None, namespace: str) -> str:
    """The path of a custom resource's collection."""
    return f"/apis/test.tidegate.dev/v1/namespaces/{namespace}/things"


@pytest.fixture
def configs(request: pytest.FixtureRequest, config_kind: Kind, namespace: str) -> Collection:
    """A collection of objects with `data`, of a built-in or a custom kind."""
    if config_kind is NOTE:
        request.getfixturevalue("definitions")
    return Collection(config_kind, namespace)
