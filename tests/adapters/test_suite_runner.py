"""The suites' process: whatever becomes of it, there is a result."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.adapters.suite_runner import start_suite
from guard.core.verdict import Verdict
from guard.errors import ConfigurationError
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime

pytestmark = pytest.mark.component

HOST = "127.30.4.1"


def test_result_of_a_suite_whatever_settings_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "httpx.py").write_text("raise ImportError('the wrong one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        process = start_suite(
            "smoke",
            candidate=runtime.url,
            out_dir=Path("out"),
            api_key_env="GUARDS_KEY",
            environment={"GUARDS_KEY": "sesame"},
            timeout=60.0,
        )
        result = process.wait()
    assert (result.error, result.verdict) == (None, Verdict.PASS)
    assert result.candidate == runtime.url
    assert process.poll() is result
    assert "sesame" not in process.log.read_text()


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def started_from(request: pytest.FixtureRequest) -> Iterator[None]:
    """A shell's background job ignores SIGINT, and so does all that it starts."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("started_from")
def test_time_limit_ends_the_suite_and_keeps_what_it_found(tmp_path: Path) -> None:
    with ScriptedRuntime.serve(Script(faults=(Fault(FaultKind.HANG),)), HOST) as runtime:
        process = start_suite("smoke", candidate=runtime.url, out_dir=tmp_path, timeout=60.0)
        while not runtime.sent:
            time.sleep(0.02)  # until the first question is asked, and hangs
        process._deadline = 0.0
        result = process.wait()
    assert result.verdict is Verdict.ERROR
    assert "not ended within 60 s" in str(result.error)
    assert {check.name for check in result.checks} == {"liveness", "model-list"}


def test_kill_leaves_no_process_and_no_verdict_of_the_candidate(tmp_path: Path) -> None:
    process = start_suite("smoke", candidate="http://127.30.255.1:9", out_dir=tmp_path, timeout=60.0)
    process.kill()
    result = process.poll()
    assert result is not None
    assert result.verdict is Verdict.ERROR
    with pytest.raises(ProcessLookupError):
        os.kill(process._process.pid, 0)
    process.kill()


def test_usage_error_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "smoke.json").write_text("a stale result")
    result = start_suite("smoke", candidate="tide", out_dir=tmp_path, timeout=60.0).wait()
    assert result.verdict is Verdict.ERROR
    assert "--candidate: 'tide' is not a URL" in str(result.error)


def test_unknown_suite_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no suite 'nope': there are eval, load, policy, smoke"):
        start_suite("nope", candidate="http://x", out_dir=tmp_path, timeout=1.0)


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        start_suite("smoke", candidate="http://x", out_dir=tmp_path / "file" / "out", timeout=1.0)
