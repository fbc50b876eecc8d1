"""Claims about the evidence of a Change: that an auditor finds in it all that was asked, decided and done."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from guard.adapters.evidence import open_evidence, read_report
from guard.adapters.evidence_check import verify
from guard.adapters.requests_file import read_requests
from guard.adapters.rollout_folder import find_rollout, read_rollout
from guard.core.change import Intent, Phase
from guard.core.evidence import Difference, Report
from guard.core.fingerprint import Fingerprint
from guard.core.replay import replay
from guard.core.samples import Arm
from guard.core.verdict import Verdict
from guard.daemon.arm_fingerprints import ArmFingerprints
from guard.errors import UnreachableError
from reports.bundle import OUTPUTS
from tests.daemon.harness import CANARY, STABLE, START
from tests.daemon.recorded import BAD, GOOD, RecordedChange, promoted, rolled_back


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(rolled_back(tmp_path_factory.mktemp("artifacts")).path)


@pytest.fixture
def report(folder: Path) -> Report:
    return read_report(open_evidence(folder))


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / "evidence" / name).read_bytes())


def test_the_folder_is_whole_and_its_digest_is_what_the_status_will_say(tmp_path: Path) -> None:
    sealed = rolled_back(tmp_path)
    assert verify(open_evidence(Path(sealed.path)), sealed.digest, OUTPUTS).findings == ()


def test_it_says_what_was_changed_by_template_and_by_fingerprint(folder: Path, report: Report) -> None:
    plan = load(folder, "plan.json")["plan"]
    assert (plan["stableTemplate"], plan["canaryTemplate"]) == (STABLE, CANARY)
    assert plan["guard"]["target"]["route"]["name"] == "chat"
    arms = load(folder, "fingerprints.json")
    assert arms["stable"]["engine_arguments"] == "n_ctx=2048 slots=2"
    assert arms["canary"]["engine_arguments"] == "n_ctx=224 slots=2"
    changed = {row.field: (row.before, row.after) for row in report.changed if row.difference == "expected"}
    assert changed["spec.containers[0].args"] == ("--ctx-size=2048", "--ctx-size=224")
    assert changed["engine_arguments"] == ("n_ctx=2048 slots=2", "n_ctx=224 slots=2")
    assert "accelerator" in [row.field for row in report.changed if row.difference is Difference.UNKNOWN]


def test_it_says_who_asked_and_what_approval_was_needed(report: Report) -> None:
    asked = (report.ticket, report.requested_by, report.risk, report.approval)
    assert asked == ("OPS-1", "ann", "R1", "not needed at risk R1")
    assert report.plan_digest is not None
    assert report.plan_digest.startswith("sha256:")


def test_it_says_what_was_last_known_good(folder: Path, report: Report) -> None:
    assert report.last_known_good is not None
    assert report.last_known_good.change == "ops-0"
    assert load(folder, "last-known-good.json")["digest"] == report.last_known_good.digest


def test_every_step_has_its_suites_and_its_live_judgement_in_order(folder: Path, report: Report) -> None:
    found = [(section.stage, section.name, str(section.verdict)) for section in report.sections]
    assert found == [
        ("before-traffic", "smoke", "PASS"),
        ("before-traffic", "eval", "PASS"),
        ("step-1", "smoke", "PASS"),
        ("step-1", "live", "PASS"),
        ("step-2", "smoke", "PASS"),
        ("step-2", "live", "FAIL"),
        ("after-rollback", "smoke", "PASS"),
    ]
    (failed,) = (
        c for s in report.sections if s.name == "live" for c in s.checks if c.verdict is Verdict.FAIL
    )
    assert None not in (failed.value, failed.limit, failed.samples, failed.window_seconds)
    assert [row["step"] for row in load(folder, "trace.json")] == [0, 1]


def test_it_has_the_timeline_and_the_three_times_of_the_rollback(folder: Path, report: Report) -> None:
    assert [event.reason for event in report.timeline] == [
        row["kind"] for row in load(folder, "timeline.json")
    ]
    rollback = report.rollback
    assert rollback is not None
    times = (
        rollback.fault_at,
        rollback.deciding_sample_at,
        rollback.patched_at,
        rollback.last_new_request_at,
    )
    assert all(at is not None and at > START for at in times)
    assert rollback.from_fault_onset_seconds is not None
    assert rollback.from_fault_onset_seconds > (rollback.from_deciding_sample_seconds or 0.0)


def test_it_has_each_version_of_the_route_with_its_weight(folder: Path, report: Report) -> None:
    routes = load(folder, "routes.json")
    assert [route["weight_percent"] for route in routes if route["phase"] != "Progressing"][-1] == 0
    assert len({route["resource_version"] for route in routes}) == len(routes)
    assert [point.weight_percent for point in report.weights] == [0, 10, 50, 0]


def test_it_has_the_raw_samples_and_counters(folder: Path) -> None:
    samples = read_requests(folder / "evidence/requests.parquet")
    assert {sample.arm for sample in samples} == {Arm.BASELINE, Arm.CANARY}
    counted = pq.read_table(folder / "evidence/blocks.parquet").to_pylist()
    assert sum(row["count"] for row in counted if row["signal"] == "errors:400") > 0


def test_its_decision_can_be_judged_again(folder: Path, report: Report) -> None:
    decided = replay(read_rollout(find_rollout(folder)))
    assert (decided.action, decided.verdict) == ("ROLLBACK", Verdict.FAIL)
    assert report.rollback is not None
    assert report.rollback.deciding_sample_at is not None
    first = next(event.at for event in report.timeline if event.reason == "StepEntered")
    assert abs(decided.at_seconds - (report.rollback.deciding_sample_at - first)) <= 6


def test_a_killed_guards_suites_judgements_and_routes_are_not_lost(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path)
    change.until(Phase.PROGRESSING, **GOOD)
    while change.harness.run.progress.step == 0:
        change.harness.tick(**GOOD)
        change.recorder.keep(change.harness.run)
    change.restart()
    change.until(Phase.ROLLING_BACK, **BAD)
    change.until(Phase.FINISHED, stable=(2, 0))
    report = read_report(open_evidence(Path(change.finish().path)))
    stages = [(section.stage, section.name) for section in report.sections]
    assert stages[:4] == [
        ("before-traffic", "smoke"),
        ("before-traffic", "eval"),
        ("step-1", "smoke"),
        ("step-1", "live"),
    ]
    assert [point.weight_percent for point in report.weights] == [0, 10, 50, 0]
    assert any("another guard went on" in note for note in report.notes)


def test_a_guard_that_died_after_sealing_is_followed_by_one_that_seals_again(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path)
    change.until(Phase.ROLLING_BACK, **BAD)
    change.until(Phase.FINISHED, stable=(2, 0))
    change.finish()
    change.restart()
    again = change.finish()
    folder = open_evidence(Path(again.path))
    assert verify(folder, again.digest, OUTPUTS).findings == ()
    assert read_report(folder).action == "RolledBack"


@pytest.mark.parametrize("name", ["trace.json", "routes.json", "suites/01-before-traffic-smoke/smoke.json"])
def test_a_damaged_journal_does_not_keep_a_successor_from_rolling_back(tmp_path: Path, name: str) -> None:
    change = RecordedChange(tmp_path)
    change.until(Phase.PROGRESSING, **GOOD)
    (tmp_path / "inference/ops-1/evidence" / name).write_bytes(b'{"half')
    change.restart()
    change.until(Phase.ROLLING_BACK, **BAD)
    change.until(Phase.FINISHED, stable=(2, 0))
    change.finish()


def test_a_disk_that_takes_nothing_does_not_stop_a_rollback(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path)
    change.until(Phase.PROGRESSING, **GOOD)
    shutil.rmtree(tmp_path / "inference")
    (tmp_path / "inference").write_text("no folder any more")
    change.really = True
    change.until(Phase.ROLLING_BACK, **BAD)
    assert change.harness.target.weight == 0
    assert ("step-1", "smoke", "ERROR") in [
        (stage, r.suite, r.verdict) for stage, r in change.harness.run.results
    ]


def test_another_change_of_the_same_name_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = rolled_back(tmp_path, uid="1"), promoted(tmp_path, uid="2")
    assert second.path == f"{first.path}~2"
    assert verify(open_evidence(Path(first.path)), first.digest, OUTPUTS).whole
    assert read_report(open_evidence(Path(second.path))).action == "Promoted"


def test_a_folder_that_was_archived_does_not_let_a_third_change_into_the_seconds(tmp_path: Path) -> None:
    first, second = rolled_back(tmp_path, uid="1"), rolled_back(tmp_path, uid="2")
    shutil.rmtree(first.path)
    assert rolled_back(tmp_path, uid="2").path == second.path
    assert rolled_back(tmp_path, uid="3").path == f"{first.path}~3"


def test_a_change_that_ends_in_a_step_without_a_decision_still_has_its_last_judgement(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path, enforcement="Advise")
    change.harness.target.weight = 50
    for _ in range(10):
        change.harness.tick(**GOOD)
        change.recorder.keep(change.harness.run)
    change.harness.target.weight = 0
    change.until(Phase.FINISHED, stable=(2, 0))
    report = read_report(open_evidence(Path(change.finish().path)))
    assert [(s.stage, s.name) for s in report.sections if s.name == "live"] == [("step-2", "live")]


def test_an_arm_that_does_not_answer_is_unknown_and_asked_again() -> None:
    asked = []

    def read(endpoint: Any, model: str) -> Fingerprint:
        asked.append(model)
        if len(asked) == 1:
            raise UnreachableError("still starting")
        return Fingerprint(runtime="vLLM")

    image = "registry.example/vllm@sha256:" + "1" * 64
    templates: Any = {Arm.CANARY: {"spec": {"containers": [{"image": image}]}}}
    arms = ArmFingerprints("m", read, templates, "tidegate 0")
    for now in (0.0, 1.0, 100.0, 200.0):
        arms.ask({Arm.CANARY: ["endpoint"], Arm.BASELINE: []}, now)  # type: ignore[list-item, dict-item]
        arms.wait(5.0)
    assert asked == ["m", "m"]
    assert arms.known[Arm.CANARY].image_digest == "sha256:" + "1" * 64
    assert arms.known[Arm.CANARY].replicas == 1


def test_arms_that_both_hang_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still but for the waiting, which each thread's join adds up."""
    over, clock = threading.Event(), [0.0]

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        clock[0] += timeout or 0.0

    def read(endpoint: Any, model: str) -> Fingerprint:
        assert over.wait(20.0)
        raise UnreachableError("hung")

    arms = ArmFingerprints("m", read, {}, "tidegate 0")
    arms.ask({Arm.CANARY: ["endpoint"], Arm.BASELINE: ["endpoint"]}, 0.0)  # type: ignore[list-item]
    asking = list(arms._asking.values())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", join)
        patched.setattr("time.monotonic", lambda: clock[0])
        arms.wait(2.0)
    over.set()
    for thread in asking:
        thread.join(20.0)
    assert (len(asking), clock[0]) == (2, 2.0)


def test_a_change_that_an_operator_rolled_back_has_passed_nothing(tmp_path: Path) -> None:
    change = RecordedChange(tmp_path)
    change.until(Phase.PROGRESSING, **GOOD)
    change.harness.run.intent = Intent.ROLL_BACK
    change.harness.suites["after-rollback", "smoke"] = Verdict.FAIL
    change.until(Phase.FINISHED, stable=(2, 0))
    folder = Path(change.finish().path)
    said = json.loads((folder / "verdict.json").read_bytes())
    assert (said["verdict"], said["exit_code"], said["action"]) == ("INCONCLUSIVE", 1, "RolledBack")
    assert said["outcome"] == "RolledBack by an operator; the stable did not pass its suites afterwards"
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# ❌ RolledBack by an operator; the stable did not pass")


def test_a_promoted_change_ends_with_exit_code_0(tmp_path: Path) -> None:
    said = json.loads(Path(promoted(tmp_path).path, "verdict.json").read_bytes())
    assert (said["verdict"], said["exit_code"], said["outcome"]) == ("PASS", 0, "Promoted")
