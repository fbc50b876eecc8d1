"""The command as a pipeline sees it: exit codes, files, and what stands on stdout."""

import json
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from guard.cli import main
from guard.gate import preflight
from guard.testing.runtime import Script, ScriptedRuntime

DEAD = "http://127.50.2.1:9"
FILES = {"verdict.json", "junit.xml", "summary.md", "report.html", "evidence"}


def _command(*arguments):
    return [sys.executable, "-c", "from guard.cli import main; main()", "gate", *map(str, arguments)]


@dataclass
class _Done:
    code: int | str | None
    stdout: str
    stderr: str


@pytest.fixture
def gate(monkeypatch, capfd):
    """Runs `tidegate gate ...` in this process, as its entry point does."""
    monkeypatch.setattr(preflight, "_PAUSE_SECONDS", 0.0)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tidegate", "gate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return _Done(end.value.code, *capfd.readouterr())

    return run


def _verdict(out):
    return json.loads((out / "verdict.json").read_text())


def test_dead_candidate_beside_a_live_baseline_is_exit_1(gate, tmp_path):
    with ScriptedRuntime.serve(Script(model="chat"), host="127.50.2.2") as baseline:
        done = gate("--candidate", DEAD, "--baseline", baseline.url, "--out", tmp_path)
    assert done.code == 1, done.stderr
    assert "the baseline answered the same client at the same time" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_both_dead_is_exit_3_and_every_file_is_written(gate, tmp_path):
    done = gate("--candidate", DEAD, "--baseline", DEAD, "--out", tmp_path)
    assert done.code == 3
    assert "connection refused" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert _verdict(tmp_path)["exit_code"] == 3
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert root.find("testsuite[@name='preflight']/testcase/error") is not None


def test_json_prints_the_verdict_alone_on_stdout(gate, tmp_path):
    done = gate("--candidate", DEAD, "--out", tmp_path, "--json")
    assert json.loads(done.stdout) == _verdict(tmp_path)
    assert "preflight" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "policy"], "--policy-gateway URL"),
        (["--suite", "laod"], "did you mean 'load'"),
        (["--api-key-env", "TIDEGATE_TEST_ABSENT"], "no such variable"),
    ],
)
def test_refused_wish_is_exit_3_and_reported(gate, arguments, message, tmp_path):
    done = gate("--candidate", DEAD, "--out", tmp_path, *arguments)
    assert done.code == 3
    assert message in done.stderr
    assert message in _verdict(tmp_path)["reason"]


def test_broken_suite_file_is_exit_3_naming_path_and_nearest_key(gate, tmp_path):
    file = tmp_path / "suites.yaml"
    file.write_text("suites: [{name: load, durration: 30s}]")
    done = gate("--candidate", DEAD, "--config", file, "--out", tmp_path / "out", "--json")
    assert done.code == 3
    assert "durration: unknown key; did you mean 'duration'" in json.loads(done.stdout)["reason"]


@pytest.mark.parametrize(
    "arguments",
    [["--candidate", DEAD], ["--out", "x"], ["--candidate", DEAD, "--out", "x", "--policy", "Lax"], ["--no"]],
)
def test_usage_error_is_exit_3(gate, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gate(*arguments).code == 3


def test_api_key_is_in_no_file_and_on_no_stream(gate, tmp_path, monkeypatch):
    key = "sk-0123456789abcdef"
    monkeypatch.setenv("CHAT_KEY", key)
    with ScriptedRuntime.serve(Script(model="chat", api_key=key), host="127.50.2.3") as runtime:
        done = gate(
            *(
                "--candidate",
                runtime.url,
                "--model",
                "absent",
                "--api-key-env",
                "CHAT_KEY",
                "--out",
                tmp_path,
            ),
        )
    assert "it serves 'chat'" in done.stderr, "the key was not used"
    assert key not in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


def test_credentials_in_a_url_are_refused_and_written_nowhere(gate, tmp_path):
    done = gate("--candidate", "http://me:hunter2@127.50.2.1:9", "--out", tmp_path)
    assert done.code == 3
    assert "--api-key-env" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


@pytest.mark.component
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_is_exit_3_with_its_reports(number, tmp_path):
    with socket.create_server(("127.50.2.4", 0)) as silent:
        url = "http://{}:{}".format(*silent.getsockname())
        process = subprocess.Popen(
            _command("--candidate", url, "--out", tmp_path, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            silent.settimeout(30)
            connection, _ = silent.accept()  # it is asking now, and gets no answer
            process.send_signal(number)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            connection.close()
    assert process.returncode == 3
    assert json.loads(out)["reason"] == "interrupted"
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_stale_pass_is_gone_before_the_run_begins(gate, tmp_path):
    (tmp_path / "verdict.json").write_text('{"format": "tidegate.dev/verdict/v1", "verdict": "PASS"}')
    gate("--candidate", DEAD, "--out", tmp_path)
    assert _verdict(tmp_path)["verdict"] == "ERROR"
