"""Claims about what a release pipeline and an operator are told of a Change, and by which exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from guard.adapters.kubernetes.client import CHANGES, DEPLOYMENTS, GUARDS, KubernetesClient
from guard.adapters.opening import change_document
from guard.api.change import Plan
from guard.cli import change_wait, cli
from guard.core.change import Phase, Reason
from guard.core.verdict import Verdict
from guard.daemon.progress import Decision, Progress
from guard.errors import ConfigurationError
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE, client, cluster, documents, guard_spec, plan

__all__ = ["client", "cluster", "guard_spec", "plan"]


@pytest.fixture
def kubeconfig(cluster: FakeCluster, tmp_path: Path) -> Path:
    return cluster.write_kubeconfig(tmp_path / "operators")


def tidegate(kubeconfig: Path, *words: str) -> Result:
    options = ["-n", NAMESPACE, "--kubeconfig", str(kubeconfig)]
    return CliRunner().invoke(cli, [*words, *options], standalone_mode=False)


def opened(client: KubernetesClient, plan: Plan, progress: Progress | None = None) -> None:
    client.create(CHANGES, NAMESPACE, change_document("ops-1", "chat", "OPS-1", "R1", "ann", plan))
    if progress is not None:
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"status": progress.to_status(3)}, "status")


def ended(reason: Reason, **known: Any) -> Progress:
    progress = Progress(opened_at=1000.0, verdict=Verdict.PASS, **known)
    progress.note(1001.0, "StepEntered", "step 1 of 3")
    progress.end(reason, 1002.0, "the end")
    return progress


WOULD_ROLL_BACK = Decision("RollBack", "ObjectiveFailed", "bad", 1001.0)


@pytest.mark.parametrize(
    ("progress", "code"),
    [
        (ended(Reason.PROMOTED), 0),
        (ended(Reason.OBSERVED), 0),
        (ended(Reason.ROLLED_BACK), 1),
        (ended(Reason.OBSERVED, would_have=WOULD_ROLL_BACK), 1),
        (ended(Reason.ABANDONED), 2),
        (ended(Reason.REFUSED), 3),
    ],
)
def test_a_pipeline_that_waits_learns_how_it_ended(
    client: KubernetesClient, plan: Plan, kubeconfig: Path, progress: Progress, code: int
) -> None:
    opened(client, plan, progress=progress)
    done = tidegate(kubeconfig, "change", "wait", "ops-1")
    assert done.return_value == code
    assert done.stderr.splitlines() == ["StepEntered: step 1 of 3", f"{progress.ended}: the end"]
    assert done.stdout == f"change/ops-1 {progress.ended}: the end\n"


def test_a_change_that_does_not_end_in_time_is_3_with_where_it_was(
    client: KubernetesClient, plan: Plan, kubeconfig: Path
) -> None:
    opened(client, plan)
    done = tidegate(kubeconfig, "change", "wait", "ops-1", "--timeout", "0s", "--json")
    assert (done.return_value, json.loads(done.stdout)["exit_code"]) == (3, 3)
    assert "no guard has taken it up" in done.stderr


def test_what_happens_while_a_pipeline_waits_is_told_once(
    client: KubernetesClient, plan: Plan, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = under_way(Phase.PROGRESSING)
    begun.note(1001.0, "StepEntered", "step 1 of 3")
    opened(client, plan, progress=begun)
    body = {"status": ended(Reason.ROLLED_BACK).to_status(3)}
    monkeypatch.setattr(
        change_wait, "sleep", lambda _: client.patch_merge(CHANGES, NAMESPACE, "ops-1", body, "status")
    )
    done = tidegate(kubeconfig, "change", "wait", "ops-1")
    assert done.return_value == 1
    assert done.stderr.splitlines() == ["StepEntered: step 1 of 3", "RolledBack: the end"]


def test_a_change_that_is_deleted_while_a_pipeline_waits_is_3(
    client: KubernetesClient, plan: Plan, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(client, plan)
    monkeypatch.setattr(change_wait, "sleep", lambda _: client.delete(CHANGES, NAMESPACE, "ops-1"))
    done = tidegate(kubeconfig, "change", "wait", "ops-1")
    assert done.return_value == 3
    assert "deleted before it ended" in done.stderr


def refusal(done: Result) -> str:
    assert isinstance(done.exception, ConfigurationError)
    return str(done.exception)


def test_a_change_that_is_not_there_is_refused_with_those_that_are(
    client: KubernetesClient, plan: Plan, kubeconfig: Path
) -> None:
    opened(client, plan)
    for words in (["change", "wait"], ["change", "close"], ["hold"], ["rollback"]):
        said = refusal(tidegate(kubeconfig, *words, "nope"))
        assert said == f"Change nope is not in namespace {NAMESPACE}; there: ops-1"


def under_way(phase: Phase) -> Progress:
    return Progress(opened_at=1000.0, phase=phase, reason="Draining")


@pytest.mark.parametrize("command", ["promote", "hold", "resume"])
@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.PROMOTING])
def test_what_comes_too_late_is_refused(
    client: KubernetesClient, plan: Plan, kubeconfig: Path, command: str, phase: Phase
) -> None:
    opened(client, plan, progress=under_way(phase))
    assert f"change/ops-1 is {phase} (Draining)" in refusal(tidegate(kubeconfig, command, "ops-1"))
    assert "action" not in client.get(CHANGES, NAMESPACE, "ops-1")["spec"]


@pytest.mark.parametrize("words", [["rollback"], ["promote"], ["change", "close"]])
def test_nothing_is_asked_of_a_change_that_is_over(
    client: KubernetesClient, plan: Plan, kubeconfig: Path, words: list[str]
) -> None:
    opened(client, plan, progress=ended(Reason.PROMOTED))
    assert "is Finished (Promoted)" in refusal(tidegate(kubeconfig, *words, "ops-1"))


def test_an_intent_is_written_with_who_has_it(client: KubernetesClient, plan: Plan, kubeconfig: Path) -> None:
    opened(client, plan, progress=under_way(Phase.PROGRESSING))
    assert tidegate(kubeconfig, "rollback", "ops-1").exception is None
    change = client.get(CHANGES, NAMESPACE, "ops-1")
    assert change["spec"]["action"] == "RollBack"
    assert change["metadata"]["annotations"]["tidegate.dev/asked-by"] == "RollBack tester"


@pytest.mark.parametrize("risk", ["R2", "R3"])
def test_a_risk_that_needs_approvals_is_refused_when_it_is_opened(
    client: KubernetesClient, kubeconfig: Path, risk: str
) -> None:
    done = tidegate(kubeconfig, "change", "open", "--guard", "chat", "--ticket", "OPS-1", "--risk", risk)
    assert "needs approvals" in refusal(done)
    assert client.list(CHANGES, NAMESPACE)["items"] == []


def test_opening_says_who_asked_and_refuses_a_name_that_is_taken(
    client: KubernetesClient, plan: Plan, kubeconfig: Path
) -> None:
    (document,) = documents("stack/manifests/demo/guard.yaml")
    client.create(GUARDS, NAMESPACE, document)
    for name in ("chat-stable", "chat-canary"):
        observe(client, name)
    words = ["change", "open", "--guard", "chat", "--ticket", "OPS-1"]
    assert tidegate(kubeconfig, *words).stdout == "change/ops-1\n"
    assert client.get(CHANGES, NAMESPACE, "ops-1")["spec"]["requestedBy"] == "tester"
    assert "already exists in namespace inference: choose another" in refusal(tidegate(kubeconfig, *words))


def observe(client: KubernetesClient, name: str) -> None:
    """As the Deployment's controller does; none runs here."""
    generation = client.get(DEPLOYMENTS, NAMESPACE, name)["metadata"]["generation"]
    body = {"status": {"observedGeneration": generation}}
    client.patch_merge(DEPLOYMENTS, NAMESPACE, name, body, "status")


def test_a_list_of_no_changes_says_whether_there_is_such_a_namespace(
    cluster: FakeCluster, kubeconfig: Path
) -> None:
    assert tidegate(kubeconfig, "change", "list").stderr == f"No changes in namespace {NAMESPACE}.\n"
    options = ["change", "list", "--kubeconfig", str(kubeconfig), "-n", "nope"]
    done = CliRunner().invoke(cli, options, standalone_mode=False)
    assert done.stderr == "Namespace nope does not exist.\n"


def test_a_kubeconfig_that_is_not_there_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    done = tidegate(tmp_path / "none", "change", "list")
    said = f"no usable Kubernetes credentials: {tmp_path / 'none'} does not exist; set KUBECONFIG, or pass"
    assert refusal(done).startswith(said)
    assert done.stdout == ""
