"""An empty cluster over HTTP, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import KubernetesClient
from guard.testing.cluster import FakeCluster


@pytest.fixture
def client(tmp_path: Path) -> Iterator[KubernetesClient]:
    with FakeCluster.serve() as cluster:
        yield KubernetesClient(str(cluster.write_kubeconfig(tmp_path / "kubeconfig")))
