"""One FakeCluster with one LocalPods for all tests here; each test has a namespace of its own."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import NAMESPACES, KubernetesClient
from guard.testing.cluster import FakeCluster
from guard.testing.pods import LocalPods


@pytest.fixture(scope="session")
def pods_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pods")


@pytest.fixture(scope="session")
def kubeconfig(pods_root: Path) -> Iterator[Path]:
    with FakeCluster.serve() as cluster:
        yield cluster.write_kubeconfig(pods_root / "kubeconfig")


@pytest.fixture(scope="session")
def client(kubeconfig: Path) -> KubernetesClient:
    return KubernetesClient(str(kubeconfig))


@pytest.fixture(scope="session")
def pods(kubeconfig: Path, pods_root: Path) -> Iterator[LocalPods]:
    images = {"local/tools": sys.prefix}
    with LocalPods(kubeconfig, images, pods_root, "127.20.1.0/24", backoff_seconds=0.05) as running:
        yield running


@pytest.fixture
def namespace(client: KubernetesClient, pods: LocalPods) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create(NAMESPACES, None, {"metadata": {"name": name}})
    yield name
    client.delete(NAMESPACES, None, name)
