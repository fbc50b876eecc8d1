import json
from dataclasses import replace

import pytest

from guard.adapters.artifacts import OutputFolder
from guard.adapters.evidence import parse_report
from guard.adapters.requests_file import write_requests
from guard.core.check import Check, SuiteResult
from guard.core.evidence import Section
from guard.core.fingerprint import Fingerprint
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import NotJudged, Verdict
from guard.errors import UnreachableError
from guard.gate.plan import Wishes
from guard.gate.preflight import Answer
from guard.gate.record import combined
from guard.gate.run import Outside, judge

WISHES = Wishes("http://127.50.0.1:8000", "http://127.50.0.2:8000")
KEY = "sk-never-written-down"


def _result(suite, verdict, **fields):
    checks = (Check("only", Verdict(verdict), f"{suite} says {verdict}", suite),)
    return SuiteResult(suite, checks, 10.0, 12.0, "http://c", **fields)


class _Suites:
    """Stands for the suite runner: a verdict, a result, what makes one, or an exception for each suite."""

    def __init__(self, **outcomes):
        self.outcomes, self.started, self.killed = outcomes, [], []

    def __call__(self, suite, **options):
        self.started.append((suite, options))
        return _Process(self, suite)

    @property
    def names(self):
        return [name for name, _ in self.started]


class _Process:
    def __init__(self, suites, suite):
        self._suites, self._suite = suites, suite

    def wait(self):
        if self._suite in self._suites.killed:
            return _result(self._suite, "PASS", error="ended before its time, on request")
        outcome = self._suites.outcomes.get(self._suite, "PASS")
        if isinstance(outcome, BaseException):
            raise outcome
        if callable(outcome):
            return outcome()
        return _result(self._suite, outcome) if isinstance(outcome, str) else outcome

    def kill(self):
        self._suites.killed.append(self._suite)


def _judge(tmp_path, suites, wishes=WISHES, arms=None, secrets=(), fingerprint=lambda e, m: Fingerprint()):
    ticks = iter(range(1000, 9999))
    up = Answer("http://c", ("chat",))
    outside = Outside(
        ask_both=lambda candidate, baseline: arms or (up, up if baseline else None),
        fingerprint=fingerprint,
        start_suite=suites,
        clock=lambda: float(next(ticks)),
    )
    events = []
    folder = OutputFolder.prepare(tmp_path / "out", ["verdict.json"], secrets)
    return judge(wishes, folder, events.append, outside=outside), events


def _sections(report):
    return {section.name: section.verdict and str(section.verdict) for section in report.sections}


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ({}, "PASS"),
        ({"load": "FAIL"}, "FAIL"),
        ({"eval": "FAIL", "load": "ERROR"}, "FAIL"),
        ({"eval": "ERROR", "load": "NO_DATA"}, "ERROR"),
        ({"eval": "NO_DATA", "load": "INCONCLUSIVE"}, "NO_DATA"),
        ({"load": "INCONCLUSIVE"}, "INCONCLUSIVE"),
    ],
)
def test_worst_suite_is_the_verdict_and_gives_the_reason(outcomes, verdict, tmp_path):
    report, _ = _judge(tmp_path, _Suites(**outcomes))
    assert report.verdict is Verdict(verdict)
    assert verdict in report.reason or report.reason == "smoke, eval, load passed"


@pytest.mark.parametrize("smoke", ["FAIL", "ERROR"])
def test_nothing_more_is_sent_after_a_smoke_suite_that_failed(smoke, tmp_path):
    suites = _Suites(smoke=smoke)
    report, _ = _judge(tmp_path, suites)
    assert suites.names == ["smoke"]
    assert _sections(report) == {"preflight": "PASS", "smoke": smoke, "eval": None, "load": None}
    assert report.sections[-1].note == f"smoke ended {smoke}"


def test_suites_after_a_failed_eval_still_run_so_that_all_faults_are_seen(tmp_path):
    suites = _Suites(eval="FAIL")
    _judge(tmp_path, suites)
    assert suites.names == ["smoke", "eval", "load"]


def test_dead_candidate_is_fail_without_starting_a_suite(tmp_path):
    dead = Answer("http://c", error=UnreachableError("connection refused"))
    suites = _Suites()
    report, _ = _judge(tmp_path, suites, arms=(dead, Answer("http://b", ("chat",))))
    assert (report.verdict, suites.names) == (Verdict.FAIL, [])
    assert "connection refused" in report.reason


def test_confounded_comparison_is_refused_before_a_suite_starts(tmp_path):
    suites = _Suites()
    gpus = {WISHES.candidate: "H100", WISHES.baseline: "A100"}
    report, _ = _judge(
        tmp_path, suites, fingerprint=lambda endpoint, model: Fingerprint(accelerator=gpus[endpoint.url])
    )
    assert (report.verdict, suites.names) == (Verdict.INCONCLUSIVE, [])
    assert "accelerator" in report.reason


def test_expected_change_of_accelerator_is_compared(tmp_path):
    gpus = {WISHES.candidate: "H100", WISHES.baseline: "A100"}
    report, _ = _judge(
        tmp_path,
        _Suites(),
        replace(WISHES, expect_change=("accelerator",)),
        fingerprint=lambda endpoint, model: Fingerprint(accelerator=gpus[endpoint.url]),
    )
    assert report.verdict is Verdict.PASS
    assert ("accelerator", "A100", "H100") in [(row.field, row.before, row.after) for row in report.changed]


def test_interrupt_kills_the_suite_and_keeps_what_was_found(tmp_path):
    suites = _Suites(eval=KeyboardInterrupt())
    report, events = _judge(tmp_path, suites)
    assert suites.killed == ["eval"]
    assert (report.verdict, report.reason) == (Verdict.ERROR, "interrupted")
    assert _sections(report) == {"preflight": "PASS", "smoke": "PASS", "eval": "ERROR", "load": None}
    assert [check.name for check in report.sections[2].checks] == ["only"]
    assert "Interrupted" in [event.reason for event in events]
    assert (tmp_path / "out/evidence/manifest.json").exists()


def test_fault_of_our_own_is_error_and_still_reported(tmp_path, capfd):
    suites = _Suites(eval=RuntimeError("boom"))
    report, _ = _judge(tmp_path, suites)
    assert (report.verdict, suites.killed) == (Verdict.ERROR, ["eval"])
    assert "a fault of Tidegate itself: RuntimeError: boom" in report.reason
    assert "Traceback" in capfd.readouterr().err


def test_endpoint_lost_while_it_is_fingerprinted_is_error(tmp_path):
    def gone(endpoint, model):
        raise UnreachableError("gone")

    assert _judge(tmp_path, _Suites(), fingerprint=gone)[0].verdict is Verdict.ERROR


def test_refused_plan_is_reported_as_error_too(tmp_path):
    report, events = _judge(tmp_path, _Suites(), replace(WISHES, suites=["policy"]))
    assert (report.verdict, events[0].reason) == (Verdict.ERROR, "Refused")
    assert "--policy-gateway URL" in report.reason


def test_comparison_without_a_baseline_is_left_out_and_said(tmp_path):
    checks = (Check("eval-paired", NotJudged.NOT_COMPARED, "no baseline"),)
    suites = _Suites(eval=SuiteResult("eval", checks, 1.0, 2.0, "http://c"))
    report, _ = _judge(tmp_path, suites, replace(WISHES, baseline=None))
    assert report.verdict is Verdict.PASS
    assert _sections(report)["eval"] == "NOT_COMPARED"
    assert any(note.startswith("not compared") for note in report.notes)
    assert suites.started[0][1]["baseline"] is None


def test_nothing_but_comparisons_without_a_baseline_is_no_data():
    assert (
        combined([Section("preflight", Verdict.PASS), Section("eval", NotJudged.NOT_COMPARED)]) == "NO_DATA"
    )


def test_suite_that_broke_is_error_with_its_reason(tmp_path):
    broken = SuiteResult("eval", (), 1.0, 2.0, "http://c", error="cannot be collected: SyntaxError")
    report, _ = _judge(tmp_path, _Suites(eval=broken))
    assert (report.verdict, report.reason) == (
        Verdict.ERROR,
        "eval / suite: cannot be collected: SyntaxError",
    )


def test_suites_get_the_resolved_plan_as_their_configuration(tmp_path):
    file = tmp_path / "suites.yaml"
    file.write_text("{suites: [{name: smoke}, {name: load, rate: '3'}], policy: NonInferior}")
    suites = _Suites()
    _judge(tmp_path, suites, replace(WISHES, config_file=file))
    options = suites.started[1][1]
    plan = json.loads(options["config_file"].read_bytes())
    assert (plan["policy"], plan["suites"][1]["rate"], plan["suites"][1]["minRequests"]) == (
        "NonInferior",
        "3",
        20,
    )
    assert options["out_dir"] == tmp_path / "out/evidence/load"
    assert (options["model"], options["timeout"]) == ("chat", 600.0)


def test_own_eval_items_are_copied_and_the_copy_is_what_runs(tmp_path):
    (tmp_path / "items.jsonl").write_text('{"id": 1}')
    file = tmp_path / "suites.yaml"
    file.write_text("suites: [{name: eval, dataset: {file: items.jsonl}}]")
    suites = _Suites()
    _judge(tmp_path, suites, replace(WISHES, config_file=file))
    options_file = suites.started[0][1]["config_file"]
    plan = json.loads(options_file.read_bytes())
    copy = tmp_path / "out/evidence/dataset.jsonl"
    assert options_file.parent / plan["suites"][0]["dataset"]["file"] == copy
    assert copy.read_text() == '{"id": 1}'


def test_load_requests_are_plotted_in_unix_time_by_each_workers_clock(tmp_path):
    out = tmp_path / "out/evidence/load/requests.parquet"

    def write():
        scheduled = {"scheduled_at": 5.0, "outcome": Outcome.OK}
        samples = [
            RequestSample(
                "tidegate-1", Source.LOAD, Arm.CANARY, worker="w1", first_token_at=5.5, **scheduled
            ),
            RequestSample(
                "tidegate-0", Source.LOAD, Arm.BASELINE, worker="w0", first_token_at=5.25, **scheduled
            ),
        ]
        workers = {"w0": {"unix_offset_seconds": 1000.0}, "w1": {"unix_offset_seconds": 2000.0}}
        write_requests(out, samples, {"workers": workers})
        return _result("load", "PASS", files={"requests": "requests.parquet"})

    suites = _Suites(load=write)
    report, _ = _judge(tmp_path, suites, replace(WISHES, suites=["load"]))
    assert [(p.at, p.arm, p.ttft_seconds) for p in report.requests] == [
        (1005.0, Arm.BASELINE, 0.25),
        (2005.0, Arm.CANARY, 0.5),
    ]


def test_raw_file_that_cannot_be_read_is_noted_and_the_verdict_stands(tmp_path):
    suites = _Suites(load=_result("load", "PASS", files={"requests": "requests.parquet"}))
    report, _ = _judge(tmp_path, suites)
    assert report.verdict is Verdict.PASS
    assert any("requests.parquet: no such file" in note for note in report.notes)


def test_evidence_lets_the_verdict_be_derived_again(tmp_path):
    report, _ = _judge(tmp_path, _Suites(load="FAIL"))
    evidence = tmp_path / "out/evidence"
    assert {path.name for path in evidence.iterdir() if path.is_file()} == {
        "plan.json",
        "fingerprints.json",
        "trace.json",
        "timeline.json",
        "report.json",
        "manifest.json",
    }
    assert [row["combined"] for row in json.loads((evidence / "trace.json").read_bytes())] == [
        "NO_DATA",
        "PASS",
        "PASS",
        "FAIL",
    ]
    again = parse_report((evidence / "report.json").read_bytes(), "it")
    assert replace(again, files=report.files) == report


def test_key_that_an_endpoint_echoes_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)
    check = Check("only", Verdict.FAIL, f"said {KEY}", "smoke", detail={"text": KEY, KEY: [KEY]})
    broken = SuiteResult("smoke", (check,), 1.0, 2.0, "http://c", error=f"refused {KEY}")
    report, events = _judge(
        tmp_path, _Suites(smoke=broken), replace(WISHES, api_key_env="CHAT_KEY"), secrets=[KEY]
    )
    assert KEY not in json.dumps(report.to_json()) + str(events)
    assert report.sections[1].checks[0].reason == "said [redacted]"
    assert not [path for path in (tmp_path / "out").rglob("*.json") if KEY in path.read_text()]
