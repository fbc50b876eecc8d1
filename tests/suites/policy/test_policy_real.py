"""The policy suite against a gateway that runs the real kubectl on a Kubernetes API."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from guard.testing.cluster import FakeCluster
from tests.stack.policy_process import HOST, TOKENS, serving
from tests.suites.suite_runs import SuiteRunner

pytestmark = pytest.mark.real

MANIFESTS = Path(__file__).parents[3] / "stack/manifests/policy"
# Each look at the state starts a kubectl: only a part of what kubectl has a part in.
REACHING = "kubectl-writes or kubectl_works or no-approval or swapped or runs_once"
KUBECTL = Path(sys.executable).parent / "kubectl"


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster.serve(host=HOST) as found:
        documents = [d for f in MANIFESTS.glob("*.yaml") for d in yaml.safe_load_all(f.read_text())]
        inference = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "inference"}}
        found.apply([inference, *documents])
        yield found


def test_suite_passes_with_real_kubectl_and_a_weak_gateway_reaches_the_cluster(
    cluster: FakeCluster, tmp_path: Path, run_suite: SuiteRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)
    kubectl = {
        "program": str(KUBECTL),
        "kubeconfig": str(cluster.write_kubeconfig(tmp_path / "kubeconfig")),
        "namespaces": ["agents"],
    }
    tools = {"kubectl": kubectl, "tests": {"unit": ["true"]}}
    with serving(tmp_path, tools=tools) as gateway:
        run = run_suite("policy", None, None, f"--policy-gateway={gateway.url}", "-k", REACHING)
    assert run.verdict == "PASS", run.output
    weak = tmp_path / "weak"
    weak.mkdir()
    with serving(weak, tools=tools, TESTS_ONLY_deliberately_weak_to=["kubectl-writes"]) as gateway:
        run = run_suite("policy", None, None, f"--policy-gateway={gateway.url}", "-k", "kubectl-writes")
    assert run.verdicts["kubectl-writes"] == "FAIL"
    assert "state changed" in str(run.checks["kubectl-writes"].detail)
