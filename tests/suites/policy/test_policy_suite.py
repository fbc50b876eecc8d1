"""The policy suite as users run it: pytest, and the gate, against a gateway in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from guard.adapters.evidence import parse_report
from guard.core.evidence import Report
from guard.testing.runtime import Script, ScriptedRuntime
from tests.stack.policy_process import HOST, TOKENS, Process, serving
from tests.suites.suite_runs import Run, SuiteRunner

pytestmark = pytest.mark.component

CONTROLS = {
    "git-works-read-only",
    "kubectl-works-read-only",
    "tests-work-read-only",
    "r2-with-an-approval-runs-once",
    "r3-with-two-approvals-runs-once",
    "audit-record-arrives",
}
GATEWAY_DOWN = f"http://{HOST}:9"


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)


@pytest.fixture
def judged(run_suite: SuiteRunner) -> Any:
    """`judged(URL)`: the suite's run against a gateway, without any model server."""

    def run(url: str, *options: str) -> Run:
        return run_suite("policy", None, None, f"--policy-gateway={url}", *options)

    return run


def _not_passed(run: Run) -> set[str]:
    return {name for name, verdict in run.verdicts.items() if verdict != "PASS"}


def test_strict_gateway_passes_every_class_and_control(tmp_path: Path, judged: Any) -> None:
    with serving(tmp_path) as gateway:
        run = judged(gateway.url)
    assert (run.code, run.verdict, _not_passed(run)) == (0, "PASS", set()), run.output
    assert run.verdicts.keys() >= CONTROLS
    forged = run.checks["forged-approval"]
    assert (forged.signal, forged.value, forged.limit, forged.unit) == ("policy", 0, 0, "count")
    assert forged.samples == len(forged.detail["attempts"])
    assert run.result is not None
    assert run.result.candidate == gateway.url


@pytest.mark.parametrize(
    "weakness", ["no-approval", "git-executes", "spoofed-principal", "audit-suppression"]
)
def test_weak_gateway_fails_in_its_class(tmp_path: Path, judged: Any, weakness: str) -> None:
    with serving(tmp_path, TESTS_ONLY_deliberately_weak_to=[weakness]) as gateway:
        run = judged(gateway.url, "-k", f"{weakness} or read_only or runs_once or record")
    assert _not_passed(run) == {weakness}, run.output
    assert run.checks[weakness].value >= 1
    assert "were not held" in run.checks[weakness].reason


def test_gateway_that_denies_everything_fails_the_controls(tmp_path: Path, judged: Any) -> None:
    with serving(tmp_path, TESTS_ONLY_deny_all=True) as gateway:
        run = judged(gateway.url)
    assert _not_passed(run) == CONTROLS, run.output
    assert run.verdict == "FAIL"


def test_gateway_without_a_tool_fails_its_control(tmp_path: Path, judged: Any) -> None:
    with serving(tmp_path, tools={"tests": {"unit": ["true"]}}) as gateway:
        run = judged(gateway.url, "-k", "read_only")
    assert _not_passed(run) == {"kubectl-works-read-only"}
    assert "has no such tool" in run.checks["kubectl-works-read-only"].reason


def test_gateway_that_is_down_is_an_error_and_blocks_nothing(judged: Any) -> None:
    run = judged(GATEWAY_DOWN)
    assert run.verdicts == {"gateway-answers": "ERROR"}
    assert "connection refused" in run.checks["gateway-answers"].reason


def test_wrong_token_is_an_error_that_names_its_variable(
    tmp_path: Path, judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as gateway:
        monkeypatch.setenv("TIDEGATE_POLICY_APPROVER_TOKEN", "another-token-0123456789")
        run = judged(gateway.url)
    assert run.verdicts == {"gateway-answers": "ERROR"}
    assert "TIDEGATE_POLICY_APPROVER_TOKEN" in run.checks["gateway-answers"].reason
    assert "another-token" not in run.output


def test_gateway_that_cannot_record_is_an_error_not_a_pass(tmp_path: Path, judged: Any) -> None:
    with serving(tmp_path) as gateway:
        gateway.audit_file.unlink()
        run = judged(gateway.url)
    assert run.verdict == "ERROR"
    assert "audit record" in run.checks["gateway-answers"].reason


class _Breaks(BaseHTTPRequestHandler):
    """Answers as a gateway in order until a call comes; then only 500."""

    def do_GET(self) -> None:
        page = {"runs": 0, "hash": "x", "records": 0, "alerts": 0} if "state" in self.path else {}
        self._say(200, {"status": "ok", "principal": "agent", **page})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say(500, {"reason": "<script>\x1b[31mbroken"})

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _say(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def breaking() -> Iterator[str]:
    server = ThreadingHTTPServer((HOST, 0), _Breaks)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_gateway_that_breaks_on_every_call_is_an_error_in_every_class(breaking: str, judged: Any) -> None:
    run = judged(breaking)
    assert set(run.verdicts.values()) == {"PASS", "ERROR"}
    assert [name for name, verdict in run.verdicts.items() if verdict == "PASS"] == ["gateway-answers"]
    assert "\x1b" not in run.output


def test_server_that_is_no_gateway_is_an_error(judged: Any) -> None:
    with ScriptedRuntime.serve(Script(model="chat"), HOST) as runtime:
        run = judged(runtime.url)
    assert run.verdicts == {"gateway-answers": "ERROR"}


@pytest.fixture
def weak(tmp_path: Path) -> Iterator[Process]:
    with serving(tmp_path, TESTS_ONLY_deliberately_weak_to=["no-approval"]) as gateway:
        yield gateway


def _gate(out: Path, candidate: str, gateway: str) -> tuple[int, Report]:
    command = [sys.executable, "-c", "from guard.cli import main; main()", "gate", "--candidate", candidate]
    command += ["--suite", "smoke,policy", "--policy-gateway", gateway, "--out", str(out)]
    code = subprocess.run(command, capture_output=True, timeout=300).returncode
    return code, parse_report((out / "verdict.json").read_bytes(), "verdict.json")


def test_gate_fails_on_a_bypass_and_its_report_says_which(weak: Process, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ScriptedRuntime.serve(Script(model="chat"), HOST) as runtime:
        code, report = _gate(out, runtime.url, weak.url)
    assert code == 1
    verdicts = {section.name: str(section.verdict) for section in report.sections}
    assert verdicts == {"preflight": "PASS", "smoke": "PASS", "policy": "FAIL"}
    assert report.reason.startswith("policy / no-approval: 5 of 5 attempts were not held")
    assert "git-executes" in (out / "report.html").read_text()
    written = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    assert not any(token.encode() in written for token in TOKENS.values())


def test_gate_with_a_dead_gateway_is_exit_3(tmp_path: Path) -> None:
    with ScriptedRuntime.serve(Script(model="chat"), HOST) as runtime:
        code, report = _gate(tmp_path / "out", runtime.url, GATEWAY_DOWN)
    assert code == 3
    assert "connection refused" in report.reason
