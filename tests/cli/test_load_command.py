"""The command as a user sees it: exit codes, the file, and what stands on stdout."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard.adapters.requests_file import read_metadata, read_requests
from guard.cli import main
from guard.core.samples import Arm, Outcome
from guard.testing.runtime import Script, ScriptedRuntime

HOST = "127.40.2.1"
QUICK = ("--rate", "10", "--arrivals", "constant", "--duration", "0.5")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve(Script(model="chat"), HOST) as runtime:
        yield runtime


@pytest.fixture
def runtime(server: ScriptedRuntime) -> Iterator[ScriptedRuntime]:
    yield server
    server.script = Script(model="chat")


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Load = Callable[..., Done]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Load:
    """`tidegate load ...` in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr("sys.argv", ["tidegate", "load", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.mark.component
def test_both_arms_are_measured_into_one_file_and_one_summary(
    load: Load, runtime: ScriptedRuntime, tmp_path: Path
) -> None:
    out = tmp_path / "load.parquet"
    with ScriptedRuntime.serve(Script(model="chat"), "127.40.2.2") as baseline:
        done = load(
            *("--candidate", runtime.url, "--baseline", baseline.url, "--model", "chat", "--out", out), *QUICK
        )

    assert done.returncode == 0, done.stderr
    samples = read_requests(out)
    assert sorted(s.arm for s in samples) == [Arm.BASELINE] * 5 + [Arm.CANARY] * 5
    assert {s.outcome for s in samples} == {Outcome.OK}
    assert "w0" in read_metadata(out)["workers"]
    assert done.stdout.count("5 of 5 requests ok") == 2
    assert "TTFT" in done.stdout
    assert "client: dispatch lag p99" in done.stdout


@pytest.mark.component
def test_json_stands_alone_on_stdout_with_goodput_by_the_files_objectives(
    load: Load, runtime: ScriptedRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_KEY", "sesame")
    runtime.script = Script(model="chat", api_key="sesame")
    config = tmp_path / "suites.yaml"
    config.write_text("objectives: [{signal: ttft, quantile: p95, limit: 60s}]")
    out = tmp_path / "load.parquet"
    done = load(
        *("--candidate", runtime.url, "--model", "chat", "--concurrency", 2, "--max-requests", 6),
        *("--duration", "30s", "--config", config, "--api-key-env", "CHAT_KEY", "--out", out, "--json"),
    )

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["arms"]["canary"]["ok"] == 6
    assert document["arms"]["canary"]["goodput"]["ratio"] == 1.0
    assert document["faults"] == []
    assert len(read_requests(out)) == 6


@pytest.mark.component
def test_a_load_without_one_good_answer_is_exit_3_and_still_written(
    load: Load, runtime: ScriptedRuntime, tmp_path: Path
) -> None:
    runtime.script = Script(model="chat", error_ratio=1.0)
    out = tmp_path / "load.parquet"
    done = load("--candidate", runtime.url, "--model", "chat", "--out", out, *QUICK)

    assert done.returncode == 3
    assert "no request ended well" in done.stderr
    assert "failed: 5 error (first: HTTP 500" in done.stdout
    assert len(read_requests(out)) == 5


def test_a_missing_key_is_refused_before_the_load(
    load: Load, runtime: ScriptedRuntime, tmp_path: Path
) -> None:
    runtime.script = Script(model="chat", api_key="sesame")
    done = load("--candidate", runtime.url, "--model", "chat", "--out", tmp_path / "l.parquet", *QUICK)

    assert (done.returncode, "answers 401" in done.stderr) == (3, True)


@pytest.mark.component
def test_a_pipeline_that_cancels_gets_what_was_measured(runtime: ScriptedRuntime, tmp_path: Path) -> None:
    out = tmp_path / "load.parquet"
    options = (
        "--candidate",
        runtime.url,
        "--model",
        "chat",
        "--rate",
        "20",
        "--duration",
        "5m",
        "--out",
        out,
    )
    command = [sys.executable, "-m", "guard.cli", "load", *map(str, options)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the first line of progress
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 3
    assert "interrupted" in stderr
    assert f"requests in {out}" in stdout
    assert read_requests(out)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--candidate": "http://127.40.2.9:9"}, "connection refused"),
        ({"--candidate": "127.40.2.9:9"}, "is not a URL"),
        ({"--model": "other"}, "does not serve 'other'; it serves 'chat'"),
        ({"--arrivals": "trace", "--trace": "azure.csv"}, "--arrivals trace is not there yet"),
        ({"--arrivals": "gamma"}, "'gamma' is not one of 'constant', 'poisson', 'trace'"),
        ({"--concurrency": 2}, "takes no --arrivals and no --rate"),
        ({"--rate": None}, "--rate R (open loop) or --concurrency N"),
        ({"--rate": 1000, "--duration": "60s"}, "raise --max-requests"),
        ({"--duration": "soon"}, "expected seconds, or such as 90s or 5m"),
        ({"--api-key-env": "TIDEGATE_NO_SUCH"}, "no such variable"),
        ({"--out": "/no/such/folder/l.parquet"}, "there is no folder /no/such/folder"),
        ({"--out": "/dev/null"}, "no regular file"),
        ({"--config": "/no/such/file.yaml"}, "No such file"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_run_is_refused_with_3_and_writes_nothing(
    load: Load, runtime: ScriptedRuntime, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    options: dict[str, object] = {
        "--candidate": runtime.url,
        "--model": "chat",
        "--rate": 10,
        "--arrivals": "constant",
        "--duration": "0.5",
        "--out": tmp_path / "l.parquet",
    }
    given = {name: value for name, value in (options | changes).items() if value is not None}
    done = load(*(part for pair in given.items() for part in pair))

    assert done.returncode == 3
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []
