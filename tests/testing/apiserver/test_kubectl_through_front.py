"""kubectl against the front: it finds, applies, explains and deletes what lies on the other server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from guard.testing.apiserver.machinery import ApiMachinery
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import ROOT
from tests.testing.apiserver.conftest import SHIPPED

pytestmark = pytest.mark.api

Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(front: tuple[FakeCluster, ApiMachinery], namespace: str, tmp_path: Path) -> Kubectl:
    kubeconfig = front[0].write_kubeconfig(tmp_path / "kubeconfig")
    environment = {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    program = Path(sys.executable).parent / "kubectl"

    def run(*arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [program, "-n", namespace, *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _route(namespace: str) -> str:
    (route,) = yaml.safe_load_all((ROOT / "stack/manifests/runtime/route.yaml").read_text(encoding="utf-8"))
    route["metadata"]["namespace"] = namespace
    return json.dumps(route)


def test_it_applies_a_route_and_shows_it_in_its_columns(kubectl: Kubectl, namespace: str) -> None:
    route = _route(namespace)
    assert kubectl("apply", "-f", "-", stdin=route).strip() == (
        "httproute.gateway.networking.k8s.io/chat created"
    )
    assert "serverside-applied" in kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=route
    )
    assert kubectl("get", "httproutes").split()[:3] == ["NAME", "HOSTNAMES", "AGE"]
    kubectl("patch", "httproute", "chat", "--type=json", "-p", _weight(10))
    path = "{.spec.rules[0].backendRefs[1].weight}"
    assert kubectl("get", "httproute", "chat", "-o", f"jsonpath={path}") == "10"
    kubectl("delete", "httproute", "chat")
    assert kubectl("get", "httproutes", "-o", "name") == ""


def _weight(percent: int) -> str:
    path = "/spec/rules/0/backendRefs/1/weight"
    return json.dumps([{"op": "replace", "path": path, "value": percent}])


def test_it_finds_the_kinds_of_both_servers_and_explains_ours(kubectl: Kubectl) -> None:
    found = kubectl("api-resources", "-o", "name").split()
    assert {"deployments.apps", "changes.tidegate.dev", "httproutes.gateway.networking.k8s.io"} <= set(found)
    assert "may be edited" in kubectl("explain", "changes.spec")


def test_our_definitions_can_be_applied_again(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(SHIPPED))
    kubectl("wait", "--for=condition=Established", "--timeout=20s", "-f", str(SHIPPED))
