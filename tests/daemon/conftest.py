"""A cluster with the reference stack's objects in it, and the plan of one change; no pods run."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.adapters.kubernetes.client import DEPLOYMENTS, KubernetesClient
from guard.api.change import Plan, freeze
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.testing.cluster import FakeCluster

ROOT = Path(__file__).parents[2]
NAMESPACE = "inference"


@cache
def _parsed(path: str) -> tuple[dict[str, Any], ...]:
    """Once for all tests: the definitions' YAML alone takes PyYAML a tenth of a second."""
    return tuple(d for d in yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")) if d)


def documents(*paths: str) -> list[dict[str, Any]]:
    return [deepcopy(d) for path in paths for d in _parsed(path)]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster.serve() as cluster:
        cluster.register_gateway_api()
        cluster.apply(documents("deploy/crds.yaml", "stack/manifests/namespaces.yaml"))
        runtime = ("chat-stable.yaml", "chat-canary.yaml", "route.yaml")
        cluster.apply(documents(*(f"stack/manifests/runtime/{name}" for name in runtime)))
        cluster.clear_requests()
        yield cluster


@pytest.fixture
def client(cluster: FakeCluster, tmp_path: Path) -> KubernetesClient:
    return KubernetesClient(str(cluster.write_kubeconfig(tmp_path / "kubeconfig")))


@pytest.fixture
def guard_spec() -> GuardSpec:
    (document,) = documents("stack/manifests/demo/guard.yaml")
    return parse(GuardSpec, document["spec"], "Guard")


@pytest.fixture
def plan(client: KubernetesClient, guard_spec: GuardSpec) -> Plan:
    """A canary that differs from the stable in one argument."""
    canary = client.get(DEPLOYMENTS, NAMESPACE, "chat-canary")
    canary["spec"]["template"]["spec"]["containers"][0]["args"].append("--batch-size=256")
    canary["spec"]["replicas"] = 1
    canary = client.replace(DEPLOYMENTS, NAMESPACE, "chat-canary", canary)
    stable = client.get(DEPLOYMENTS, NAMESPACE, "chat-stable")
    return freeze(guard_spec, canary["spec"]["template"], stable["spec"]["template"])
