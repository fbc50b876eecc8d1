"""Claims about probes: what each suite of a run came to, repeating, and which runs are kept."""

import json
from pathlib import Path

import pytest

from guard.adapters.requests_file import write_requests
from guard.api.suites import ErrorObjective, LatencyObjective
from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.evidence import Report, Section
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.schedule import KEPT
from guard.core.suite_outcome import SuiteOutcome
from guard.core.verdict import NotJudged, Verdict
from guard.gate import probe

PREFLIGHT = Section("preflight", Verdict.PASS)


def report(*sections: Section, verdict: Verdict = Verdict.PASS, reason: str = "r") -> Report:
    return Report("gate", "t", verdict, reason, 1.0, 2.0, "0", "http://c", sections=sections)


def test_a_smoke_suites_times_are_what_its_checks_list(tmp_path: Path) -> None:
    detail = {"ttft_seconds": [0.1, None, 0.3], "e2e_seconds": [0.5, None, 0.7]}
    check = Check("ttft-median", Verdict.PASS, "fast", detail=detail)
    smoke = Section("smoke", Verdict.PASS, (Check("x", Verdict.PASS, ""), check))
    (found,) = probe.outcomes(report(PREFLIGHT, smoke), ["smoke"], tmp_path)
    assert (found.ttft_seconds, found.e2e_seconds) == ((0.1, 0.3), (0.5, 0.7))


def test_a_load_suites_times_are_its_requests(tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    sample = RequestSample("tidegate-1", Source.LOAD, Arm.CANARY, scheduled_at=1.0, first_token_at=1.25)
    sample.finished_at, sample.outcome = 3.0, Outcome.OK
    write_requests(tmp_path / "load/requests.parquet", [sample], {})
    (found,) = probe.outcomes(report(PREFLIGHT, Section("load", Verdict.PASS)), ["load"], tmp_path)
    assert (found.ttft_seconds, found.e2e_seconds) == ((0.25,), (2.0,))


def test_a_failed_suite_names_its_check_and_one_not_run_after_it_says_nothing(tmp_path: Path) -> None:
    bad = Check("stream-is-whole", Verdict.FAIL, "no [DONE]")
    smoke = Section("smoke", Verdict.FAIL, (Check("a", Verdict.PASS, ""), bad))
    skipped = Section("load", None, note="smoke ended FAIL")
    found = probe.outcomes(report(PREFLIGHT, smoke, skipped), ["smoke", "load"], tmp_path)
    assert found == [SuiteOutcome("smoke", Verdict.FAIL, "no [DONE]", bad)]


def test_a_target_that_does_not_answer_is_an_error_of_every_suite(tmp_path: Path) -> None:
    dead = Check("candidate-answers", Verdict.ERROR, "refused")
    sections = Section("preflight", Verdict.ERROR, (dead,)), Section("smoke", None, note="not run")
    found = probe.outcomes(report(*sections, verdict=Verdict.ERROR), ["smoke", "load"], tmp_path)
    assert [(one.suite, one.verdict, one.deciding) for one in found] == [
        ("smoke", Verdict.ERROR, dead),
        ("load", Verdict.ERROR, dead),
    ]


def test_a_suite_in_which_nothing_could_be_judged_is_no_data(tmp_path: Path) -> None:
    compared = Section("eval", NotJudged.NOT_COMPARED)
    (found,) = probe.outcomes(report(PREFLIGHT, compared), ["eval"], tmp_path)
    assert found.verdict is Verdict.NO_DATA


OBJECTIVES = (
    ErrorObjective(signal="errors", limit="1%"),
    LatencyObjective(signal="ttft", quantile="p95", limit="200ms"),
)


def in_budget(folder: Path, section: Section) -> dict[str, ArmCounts]:
    """What a run of this section alone adds to the error budgets."""
    of = report(PREFLIGHT, section)
    (outcome,) = probe.outcomes(of, [section.name], folder)
    return probe.counted(of, outcome, OBJECTIVES, folder)


def test_a_suites_requests_are_good_and_bad_in_the_error_budgets(tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    ok = RequestSample("1", Source.LOAD, Arm.CANARY, scheduled_at=1.0, first_token_at=1.25, finished_at=3.0)
    ok.outcome = Outcome.OK
    lost = RequestSample("2", Source.LOAD, Arm.CANARY, scheduled_at=1.0, finished_at=9.0)
    lost.outcome = Outcome.TIMEOUT
    write_requests(tmp_path / "load/requests.parquet", [ok, lost], {})
    found = in_budget(tmp_path, Section("load", Verdict.FAIL))
    assert found == {"errors": ArmCounts(1, 2), "ttft>0.2s": ArmCounts(2, 2)}


def test_a_suite_without_a_requests_file_adds_its_checks(tmp_path: Path) -> None:
    bad = Check("stream-is-whole", Verdict.FAIL, "no [DONE]", "errors")
    assert in_budget(tmp_path, Section("smoke", Verdict.FAIL, (bad,))) == {"errors": ArmCounts(1, 1)}


def test_a_fault_of_the_instrument_is_neither_good_nor_bad(tmp_path: Path) -> None:
    passed = Check("stream-is-whole", Verdict.PASS, "whole", "errors")
    assert in_budget(tmp_path, Section("smoke", Verdict.PASS, (passed,)))
    assert in_budget(tmp_path, Section("smoke", Verdict.ERROR, (passed,), error="it died")) == {}


def test_a_requests_file_that_cannot_be_read_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    (tmp_path / "load/requests.parquet").write_bytes(b"PAR1")
    failed = Check("errors", Verdict.FAIL, "?", "errors")
    assert in_budget(tmp_path, Section("load", Verdict.FAIL, (failed,))) == {}


def test_runs_that_take_longer_than_their_period_are_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A period of 10 s, and a first run of 25 s: the second one starts at 30 s, the third at 40 s."""
    now, starts = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def once() -> None:
        starts.append(now[0])
        now[0] += 25.0 if len(starts) == 1 else 1.0

    monkeypatch.setattr(probe.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(probe.time, "sleep", sleep)
    probe.repeat(once, 10.0, lambda: len(starts) == 3)
    assert starts == [0.0, 30.0, 40.0]


def test_old_runs_are_removed_but_not_the_failures_among_them_nor_what_is_not_ours(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        run = probe.run_folder(tmp_path, 1_800_000_000.0 + 60 * number)
        run.mkdir()
        verdict = "FAIL" if number == 0 else "PASS"
        (run / "verdict.json").write_text(json.dumps({"verdict": verdict}))
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    probe.remove_old_runs(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == KEPT + 1 + 2
    assert "20270115T080000Z" in left, "the failure is the oldest"
    assert {"notes", "file"} <= set(left)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_run_whose_verdict_cannot_be_read_counts_as_one_that_did_not_pass(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "verdict.json").write_bytes(content)
    assert not probe._passed(tmp_path)
