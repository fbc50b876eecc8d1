"""Claims about a Change whose API key or evidence folder cannot be had: it is attended to all the same."""

from pathlib import Path

import pytest

from guard.adapters.endpoint import Endpoint
from guard.adapters.evidence import open_evidence, read_report
from guard.adapters.evidence_check import verify
from guard.adapters.kubernetes.client import CHANGES, HTTP_ROUTES, SECRETS, KubernetesClient, Object
from guard.adapters.opening import change_document
from guard.adapters.routers.httproute import CHANGE, PHASE
from guard.api.change import ChangeSpec, Plan, freeze
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.change import Intent, Phase
from guard.daemon.act import Actor
from guard.daemon.equipment import Equipment
from guard.daemon.progress import Progress
from guard.daemon.record import Subject
from guard.errors import ConfigurationError
from tests.daemon.conftest import NAMESPACE
from tests.daemon.recorded import RecordedChange
from tests.daemon.test_loop import guard as guard
from tests.daemon.test_loop import guarding, is_finished, until

pytestmark = pytest.mark.component

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": NAMESPACE}}


@pytest.fixture
def keyed(plan: Plan) -> Plan:
    """The plan with a runtime that asks for a key."""
    document = plan.guard.to_document()
    document["target"]["auth"] = {"secretRef": {"name": "key", "key": "token"}}
    document["drain"] = {"timeout": "1s"}
    return freeze(parse(GuardSpec, document, "Guard"), dict(plan.canary_template), dict(plan.stable_template))


def open_with_traffic(client: KubernetesClient, plan: Plan, action: str) -> None:
    """What a predecessor left: suites are running, and an operator asks for something."""
    client.create(CHANGES, NAMESPACE, change_document("ops-1", "chat", "OPS-1", "R1", "ann", plan))
    progress = Progress(opened_at=1_800_000_000.0)
    progress.enter(Phase.TESTING, progress.opened_at, "TestingBeforeTraffic", "suites")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"status": progress.to_status(3)}, "status")
    client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": action}})


def is_rolling_back(status: Object) -> bool:
    return status.get("phase") in (Phase.ROLLING_BACK, Phase.FINISHED)


def test_a_change_without_its_key_obeys_an_operator(
    client: KubernetesClient, keyed: Plan, guard: None, tmp_path: Path
) -> None:
    open_with_traffic(client, keyed, "RollBack")
    with guarding(client, tmp_path):
        found = until(client, CHANGES, "ops-1", is_rolling_back)["status"]
    assert found["decision"]["reason"] == "RequestedByOperator"


def test_a_change_without_a_folder_obeys_an_operator(
    client: KubernetesClient, plan: Plan, guard: None, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    open_with_traffic(client, plan, "RollBack")
    with guarding(client, tmp_path / "file"):
        found = until(client, CHANGES, "ops-1", is_rolling_back)["status"]
    assert found["decision"]["reason"] == "RequestedByOperator"


def test_a_change_is_taken_up_anew_once_its_key_is_there(
    client: KubernetesClient, keyed: Plan, guard: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.daemon.loop.EQUIP_SECONDS", 0.1)
    open_with_traffic(client, keyed, "Hold")
    with guarding(client, tmp_path):
        found = until(client, CHANGES, "ops-1", lambda status: status.get("asked") == "Hold")["status"]
        give_key(client)
        until(client, CHANGES, "ops-1", lambda status: begun_after(status, found["stageStartedAt"]))


def begun_after(status: Object, before: str) -> bool:
    """Its stage began anew, as whenever a guard takes it up."""
    return str(status.get("stageStartedAt")) > before and status.get("asked") == "Hold"


@pytest.mark.parametrize("missing", ["the Secret", "its key"])
def test_a_change_that_ends_without_its_key_has_sealed_evidence_that_says_so(
    client: KubernetesClient, keyed: Plan, guard: None, tmp_path: Path, missing: str
) -> None:
    if missing == "its key":
        client.create(SECRETS, NAMESPACE, {**SECRET, "stringData": {"other": "abcdefgh"}})
    open_with_traffic(client, keyed, "RollBack")
    with guarding(client, tmp_path):
        status = until(client, CHANGES, "ops-1", is_finished)["status"]
    folder = open_evidence(Path(status["evidence"]))
    assert verify(folder, status["evidenceDigest"], ()).whole
    report = read_report(folder)
    assert report.action == "RolledBack"
    assert any("did not have the runtime's key" in note for note in report.notes)


def test_a_change_that_ended_with_its_key_says_nothing_of_it(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path)
    change.harness.run.intent = Intent.CLOSE
    change.until(Phase.FINISHED)
    report = read_report(open_evidence(Path(change.finish().path)))
    assert not any("key" in note for note in report.notes)


def give_key(client: KubernetesClient) -> None:
    client.create(SECRETS, NAMESPACE, {**SECRET, "stringData": {"token": "abcdefgh\n"}})


def equip(client: KubernetesClient, plan: Plan, folder: Path, begun: bool) -> Equipment:
    spec = ChangeSpec(guard="chat", ticket="OPS-1", requested_by="ann", plan=plan)
    return Equipment.of(client, Subject(NAMESPACE, "ops-1", "u", spec), folder, lambda report: {}, begun)


def test_the_key_is_read_without_the_line_end_of_its_file(
    client: KubernetesClient, keyed: Plan, tmp_path: Path
) -> None:
    give_key(client)
    assert equip(client, keyed, tmp_path, begun=True).api_key == "abcdefgh"


def test_without_its_key_no_suite_runs_and_no_probe_is_sent(
    client: KubernetesClient, keyed: Plan, tmp_path: Path
) -> None:
    has = equip(client, keyed, tmp_path, begun=True)
    assert "secrets/key" in (has.lacks or "")
    canary = Endpoint("http://127.60.3.7:9")
    with pytest.raises(ConfigurationError, match="secrets/key"):
        has.records.start_suite("step-1", keyed.guard.suites.before_traffic[0], canary, None)
    assert not has.targets(None, None)()  # type: ignore[arg-type]


def test_a_change_that_was_claimed_and_cannot_begin_any_more_gives_its_route_back(
    client: KubernetesClient, keyed: Plan, guard: None, tmp_path: Path
) -> None:
    client.create(SECRETS, NAMESPACE, {**SECRET, "stringData": {"other": "abcdefgh"}})
    Actor(client, NAMESPACE, "ops-1", keyed).claim()
    client.create(CHANGES, NAMESPACE, change_document("ops-1", "chat", "OPS-1", "R1", "ann", keyed))
    with guarding(client, tmp_path):
        status = until(client, CHANGES, "ops-1", is_finished)["status"]
    assert status["reason"] == "Refused"
    assert [entry["kind"] for entry in status["timeline"]] == ["RouteReleased", "Refused"]
    annotations = client.get(HTTP_ROUTES, NAMESPACE, "chat")["metadata"]["annotations"]
    assert annotations == {PHASE: "RolledBack", CHANGE: "ops-1"}
