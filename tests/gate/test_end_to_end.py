"""The whole command against scripted servers, suites in their own processes: one test an exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from guard.adapters.evidence import parse_report
from guard.testing.runtime import Fault, Script, ScriptedRuntime
from tests.suites.suite_runs import knowing

pytestmark = pytest.mark.component

SMALL = """
suites:
  - {name: smoke}
  - {name: eval, items: 12}
  - {name: load, rate: "4", duration: 5s, maxTokens: 8}
objectives:
  - {signal: ttft, quantile: p95, limit: 5s}
  - {signal: errors, limit: "1%"}
"""


@pytest.fixture
def baseline():
    with ScriptedRuntime.serve(
        Script(model="chat", ttft_seconds=0.02, answer=knowing()), host="127.50.4.1"
    ) as runtime:
        yield runtime.url


@pytest.fixture
def candidate():
    with ScriptedRuntime.serve(
        Script(model="chat", ttft_seconds=0.02, answer=knowing()), host="127.50.4.2"
    ) as runtime:
        yield runtime


def _command(out, candidate, *more):
    main = "from guard.cli import main; main()"
    return [sys.executable, "-c", main, "gate", "--candidate", candidate, "--out", str(out), *map(str, more)]


def _gate(out, candidate, *more):
    done = subprocess.run(_command(out, candidate, *more), capture_output=True, text=True, timeout=300)
    report = parse_report((out / "verdict.json").read_bytes(), "it")
    return done, report


def _config(tmp_path, text):
    file = tmp_path / "suites.yaml"
    file.write_text(text)
    return file


def test_equal_servers_pass_all_suites_with_plots_and_raw_samples(tmp_path, candidate, baseline):
    out = tmp_path / "out"
    done, report = _gate(
        out, candidate.url, "--baseline", baseline, "--config", _config(tmp_path, SMALL), "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "PASS"
    assert [section.name for section in report.sections] == ["preflight", "smoke", "eval", "load"]
    paths = {file.path for file in report.files}
    assert paths >= {"evidence/load/requests.parquet", "evidence/eval/evals.parquet", "evidence/plan.json"}
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 3
    everything = parse_report((out / "evidence/report.json").read_bytes(), "it")
    load = next(section for section in report.sections if section.name == "load")
    assert all(load.started_at - 5 < point.at < load.finished_at + 5 for point in everything.requests)


def test_server_that_leaks_special_tokens_fails_and_no_load_is_sent(tmp_path, baseline):
    script = Script(model="chat", faults=(Fault.parse("leak-special"),))
    with ScriptedRuntime.serve(script, host="127.50.4.3") as bad:
        done, report = _gate(tmp_path, bad.url, "--baseline", baseline)
    assert done.returncode == 1, done.stderr
    assert "special" in report.reason
    assert {section.name: section.verdict for section in report.sections}["load"] is None
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert int(root.get("failures")) >= 2


def test_too_few_items_for_a_judgement_is_exit_2(tmp_path, candidate, baseline):
    config = _config(tmp_path, "suites: [{name: eval, items: 4}]")
    done, report = _gate(tmp_path / "out", candidate.url, "--baseline", baseline, "--config", config)
    assert done.returncode == 2, done.stderr
    assert report.verdict == "INCONCLUSIVE"


def test_own_items_that_cannot_be_read_are_exit_3(tmp_path, candidate, baseline):
    (tmp_path / "items.jsonl").write_text('{"id": "a"}\n')
    config = _config(tmp_path, "suites: [{name: eval, dataset: {file: items.jsonl}}]")
    done, report = _gate(tmp_path / "out", candidate.url, "--baseline", baseline, "--config", config)
    assert done.returncode == 3, done.stderr
    assert "eval" in report.reason
    assert "dataset.jsonl:1" in report.reason
    assert "dataset.jsonl:1: family" in (tmp_path / "out/evidence/eval/eval.log").read_text()


def test_without_a_baseline_nothing_is_compared_and_the_rest_is_judged(tmp_path, candidate):
    config = _config(tmp_path, SMALL.replace("{name: load, ", "{name: load, minRequests: 10, "))
    done, report = _gate(tmp_path / "out", candidate.url, "--config", config, "--suite", "smoke,load")
    assert done.returncode == 0, done.stderr
    assert any("not compared" in note for note in report.notes)


def test_ctrl_c_in_a_suite_leaves_no_process_and_keeps_its_reports(tmp_path):
    script = Script(model="chat", faults=(Fault.parse("hang"),))
    with ScriptedRuntime.serve(script, host="127.50.4.4") as hung:
        process = subprocess.Popen(
            _command(tmp_path, hung.url), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            deadline = time.monotonic() + 60
            while not hung.sent and time.monotonic() < deadline:
                time.sleep(0.05)
            suites = _children(process.pid)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 3, said
    assert suites
    assert not [pid for pid in suites if os.path.exists(f"/proc/{pid}")]
    report = parse_report((tmp_path / "verdict.json").read_bytes(), "it")
    assert report.reason == "interrupted"
    assert [check.name for check in report.sections[1].checks], "what smoke had found is lost"


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]
