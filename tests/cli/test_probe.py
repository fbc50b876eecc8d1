"""`tidegate probe` as a process: exit codes, a run after another, its metrics, and its end by a signal."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from guard.cli.probe import command
from guard.errors import ConfigurationError
from guard.testing.runtime import Fault, Script, ScriptedRuntime

HOST = "127.60.5.1"
SECRET = "sk-very-secret-key"


@pytest.fixture
def runtime() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve(Script(model="chat", ttft_seconds=0.01), host=HOST) as runtime:
        yield runtime


def _command(*options: str) -> list[str]:
    return [sys.executable, "-c", "from guard.cli import main; main()", "probe", *options]


def _probe(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*options), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics-port", "9465"], "--metrics-port needs --every"),
        (["--every", "5 minutes"], "--every: '5 minutes' is not a duration such as"),
        (["--every", "0s"], "--every: expected more than no time"),
        (["--every", "5m", "--suite", "smok"], "did you mean 'smoke'"),
        (["--every", "5m", "--api-key-env", "NOT_SET"], "NOT_SET: no such variable"),
    ],
)
def test_a_probe_that_could_never_run_is_refused_at_once(options: list[str], message: str) -> None:
    result = CliRunner().invoke(command, ["--candidate", "http://127.60.5.9:9", *options])
    assert isinstance(result.exception, ConfigurationError)
    assert message in str(result.exception)


def test_the_help_shows_an_example_with_metrics() -> None:
    assert "--every 5m --metrics-port" in CliRunner().invoke(command, ["--help"]).output


@pytest.mark.component
@pytest.mark.parametrize(
    ("fault", "code", "verdict"),
    [(None, 0, "PASS"), ("leak-special", 1, "FAIL"), ("refuse", 3, "ERROR")],
    ids=["a sound server", "a broken answer", "no answer"],
)
def test_one_probe_ends_with_the_gates_exit_codes(
    runtime: ScriptedRuntime, fault: str | None, code: int, verdict: str, tmp_path: Path
) -> None:
    script = Script(model="chat", faults=(Fault.parse(fault),) if fault else ())
    with ScriptedRuntime.serve(script, host=HOST) as target:
        url = "http://127.60.5.9:9" if fault == "refuse" else target.url
        done = _probe("--candidate", url, "--json", "--out", str(tmp_path))
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["verdict"] == verdict
    assert json.loads((tmp_path / "verdict.json").read_bytes())["verdict"] == verdict


@pytest.mark.component
def test_probes_go_on_until_a_signal_and_tell_prometheus_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_KEY", SECRET)
    options = ("--every", "200ms", "--metrics-port", "0", "--name", "chat", "--api-key-env", "CHAT_KEY")
    script = Script(model="chat", api_key=SECRET)
    with ScriptedRuntime.serve(script, host=HOST) as target:
        process = subprocess.Popen(
            _command("--candidate", target.url, "--json", "--out", str(tmp_path), *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            where = re.search(r"http://\S+", process.stderr.readline())
            assert where is not None
            lines = [json.loads(process.stdout.readline())["verdict"] for _ in range(2)]
            with urllib.request.urlopen(where[0]) as answer:
                page = answer.read().decode()
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert lines == ["PASS", "PASS"]
    assert process.returncode == 0, said
    assert 'tidegate_suite_verdict{guard="chat",namespace="",suite="smoke",verdict="PASS"} 1.0' in page
    assert target.url not in page
    assert SECRET not in page + said
    assert len([path for path in tmp_path.iterdir() if (path / "verdict.json").is_file()]) >= 2
