"""The gateway as a process: what survives a restart, and what it does when it cannot write its record."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx
import pytest

from stack.policy.alerts import Alerts
from tests.stack.policy_process import HOST, NAMES, TOKENS, Process, serving, write_config

pytestmark = pytest.mark.component

TAG = {"tool": "git", "argv": ["tag", "v1"]}
UNTAG = {"tool": "git", "argv": ["tag", "-d", "v1"]}
STATUS = {"tool": "git", "argv": ["status"]}


class _Asked:
    """A client for each caller."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, path: str, document: Any = None, caller: str = "agent") -> httpx.Response:
        token = dict(zip(NAMES, TOKENS.values(), strict=True))[caller]
        headers = {"authorization": f"Bearer {token}"}
        if document is None:
            return httpx.get(self.url + path, headers=headers, trust_env=False)
        return httpx.post(self.url + path, json=document, headers=headers, trust_env=False, timeout=30)

    def approval(self, call: dict[str, Any], caller: str = "approver-one") -> str:
        answer = self("/v1/approvals", call | {"requester": "agent"}, caller)
        return str(answer.json()["approval"])

    def runs(self) -> int:
        return int(self("/v1/state", caller="approver-one").json()["runs"])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Process]:
    with serving(tmp_path) as process:
        yield process


@pytest.fixture
def ask(gateway: Process) -> _Asked:
    return _Asked(gateway.url)


def test_change_runs_with_an_approval_and_removal_with_two(gateway: Process, ask: _Asked) -> None:
    assert ask("/v1/calls", TAG).json()["rule"] == "no-approval"
    assert ask("/v1/calls", TAG | {"approvals": [ask.approval(TAG)]}).json()["exit_code"] == 0
    assert (gateway.workspace / ".git/refs/tags/v1").exists()
    two = [ask.approval(UNTAG), ask.approval(UNTAG, "approver-two")]
    assert ask("/v1/calls", UNTAG | {"approvals": two[:1]}).json()["rule"] == "too-few-approvals"
    assert ask("/v1/calls", UNTAG | {"approvals": two}).json()["exit_code"] == 0
    assert not (gateway.workspace / ".git/refs/tags/v1").exists()


def test_used_approval_stays_used_after_a_restart(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with serving(tmp_path, config) as first:
        ask = _Asked(first.url)
        used = ask.approval(TAG)
        ask("/v1/calls", TAG | {"approvals": [used]})
    assert first.process.returncode == 0
    with serving(tmp_path, config) as second:
        answer = _Asked(second.url)("/v1/calls", TAG | {"approvals": [used]})
    assert answer.json()["rule"] == "replayed-approval"


def test_of_many_uses_at_once_one_runs(ask: _Asked) -> None:
    call = TAG | {"approvals": [ask.approval(TAG)]}
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(answer.status_code for answer in pool.map(lambda _: ask("/v1/calls", call), range(8)))
    assert codes == [200] + [403] * 7
    assert ask.runs() == 1


def _copy_in_its_place(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)


@pytest.mark.parametrize(
    "loss",
    [Path.unlink, lambda file: file.rename(file.with_name("aside")), _copy_in_its_place],
    ids=["removed", "moved", "replaced"],
)
def test_without_its_record_the_gateway_denies_and_runs_nothing(
    gateway: Process, ask: _Asked, loss: Any
) -> None:
    loss(gateway.audit_file)
    answers = [ask("/v1/calls", STATUS), ask("/v1/approvals", TAG | {"requester": "agent"}, "approver-one")]
    answers += [ask("/v1/calls", TAG), ask("/health")]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert ask.runs() == 0


def test_call_whose_end_cannot_be_recorded_is_not_said_to_be_denied(tmp_path: Path) -> None:
    """What a test run moves away is the record: the call was recorded, and ran."""
    move = ["mv", str(tmp_path / "audit.jsonl"), str(tmp_path / "aside")]
    with serving(tmp_path, tools={"tests": {"moves": move}}) as process:
        ask = _Asked(process.url)
        answer = ask("/v1/calls", {"tool": "tests", "argv": ["run", "moves"]})
        alerts = ask("/v1/alerts", caller="approver-one").json()["alerts"]
        assert ask.runs() == 1
    assert (answer.status_code, answer.json()["decision"]) == (503, "allow")
    assert "could not be recorded" in answer.json()["reason"]
    assert [alert["rule"] for alert in alerts] == ["audit-unavailable"]


def test_changed_record_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with serving(tmp_path, config) as process:
        _Asked(process.url)("/v1/calls", TAG)
    text = process.audit_file.read_text()
    process.audit_file.write_text(text.replace('"deny"', '"allow"'))
    command = [sys.executable, "-m", "stack.policy", "--config", str(config), "--port", "0"]
    ended = subprocess.run(command, env=os.environ | TOKENS, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "audit.jsonl:1: the chain is broken" in ended.stderr


def test_weak_gateway_says_so_when_it_starts(tmp_path: Path) -> None:
    with serving(tmp_path, TESTS_ONLY_deliberately_weak_to=["no-approval"]) as process:
        assert _Asked(process.url)("/health").json()["weak_to"] == ["no-approval"]
    assert "NOT A GATEWAY TO USE" in (tmp_path / "stderr").read_text()


def test_tools_see_nothing_of_the_gateways_environment(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "/bin/false")
    tools = {"tests": {"environment": ["env"]}}
    with serving(tmp_path, tools=tools) as process:
        ask = _Asked(process.url)
        assert ask("/v1/calls", STATUS).json()["exit_code"] == 0
        seen = ask("/v1/calls", {"tool": "tests", "argv": ["run", "environment"]}).json()["stdout"]
    assert not any(secret in seen for secret in (*TOKENS.values(), "GIT_DIR", "EXTERNAL_DIFF"))


def test_output_is_bounded_and_a_slow_tool_is_ended(tmp_path: Path) -> None:
    tools = {"tests": {"loud": ["yes"], "slow": ["sleep", "60"]}, "timeout_seconds": 0.5}
    with serving(tmp_path, tools=tools) as process:
        ask = _Asked(process.url)
        loud = ask("/v1/calls", {"tool": "tests", "argv": ["run", "loud"]}).json()
        slow = ask("/v1/calls", {"tool": "tests", "argv": ["run", "slow"]}).json()
    assert (loud["truncated"], len(loud["stdout"])) == (True, 64 * 1024)
    assert (slow["timed_out"], slow["exit_code"]) == (True, None)


def test_hostile_names_in_a_repository_stay_text(gateway: Process, ask: _Asked) -> None:
    (gateway.workspace / "<script>\x1b[31m\n.txt").write_text("x")
    answer = ask("/v1/calls", STATUS)
    assert answer.content.isascii()
    assert b"\x1b" not in answer.content
    assert "<script>" in answer.json()["stdout"], answer.json()


def test_repositorys_own_drivers_and_hooks_do_not_run(gateway: Process, ask: _Asked) -> None:
    marker = gateway.folder / "ran"
    run = f"touch {marker}"
    config = gateway.workspace / ".git/config"
    drivers = f'[diff]\n\texternal = {run}\n[diff "x"]\n\ttextconv = {run}\n'
    config.write_text(f"{config.read_text()}[core]\n\tfsmonitor = {run}\n\tpager = {run}\n{drivers}")
    (gateway.workspace / ".gitattributes").write_text("* diff=x\n")
    (gateway.workspace / "a").write_text("a")
    for argv in (["status"], ["diff", "HEAD"], ["log", "--stat"], ["show"]):
        answer = ask("/v1/calls", {"tool": "git", "argv": argv}).json()
        assert answer["exit_code"] == 0, answer["stderr"]
    assert not marker.exists()


def _would_verify_its_commit(repository: Path, program: str) -> None:
    """Puts a signed commit on top, and the settings by which `git log` starts a program for it."""
    git = ["git", f"--git-dir={repository}"]
    commit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
    commit += "".join(f"{who} a <a@example.org> 0 +0000\n" for who in ("author", "committer"))
    commit += "gpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\nm\n"
    write = [*git, "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    name = subprocess.check_output(write, input=commit, text=True).strip()
    subprocess.run([*git, "update-ref", "HEAD", name], check=True)
    for setting, value in (("log.showSignature", "true"), ("gpg.program", program)):
        subprocess.run([*git, "config", setting, value], check=True)


@pytest.mark.parametrize("cwd", [".", "vendor/x"], ids=["its own", "a bare one among its files"])
def test_signed_commit_starts_no_program_of_its_repository(gateway: Process, ask: _Asked, cwd: str) -> None:
    script = gateway.folder / "verify"
    script.write_text(f"#!/bin/sh\ntouch {gateway.folder}/ran\n")
    script.chmod(0o755)
    repository = gateway.workspace / (".git" if cwd == "." else cwd)
    subprocess.run(["git", "init", "-q", "--bare", str(gateway.workspace / "vendor/x")], check=True)
    _would_verify_its_commit(repository, str(script))
    answer = ask("/v1/calls", {"tool": "git", "argv": ["log", "-1"], "cwd": cwd}).json()
    assert not (gateway.folder / "ran").exists()
    assert answer["exit_code"] == (0 if cwd == "." else 128), answer


def test_link_out_of_the_workspace_is_no_folder_of_it(gateway: Process, ask: _Asked) -> None:
    (gateway.workspace / "out").symlink_to("/")
    assert ask("/v1/calls", STATUS | {"cwd": "out"}).json()["rule"] == "working-folder"


def test_repository_elsewhere_is_none_of_the_workspace(gateway: Process, ask: _Asked) -> None:
    folder = gateway.workspace / "sub"
    folder.mkdir()
    assert ask("/v1/calls", STATUS | {"cwd": "sub"}).json()["exit_code"] == 0
    (folder / ".git").write_text(f"gitdir: {gateway.workspace}/.git\n")
    assert ask("/v1/calls", STATUS | {"cwd": "sub"}).json()["rule"] == "working-folder"


def test_folder_in_no_repository_is_no_place_for_git(tmp_path: Path) -> None:
    """There `git diff` compares any two files, and follows links: the gateway's own key, too."""
    config = write_config(tmp_path)
    shutil.rmtree(tmp_path / "workspace/.git")
    (tmp_path / "workspace/link").symlink_to(tmp_path)
    (tmp_path / "workspace/f").write_text("")
    with serving(tmp_path, config) as process:
        answer = _Asked(process.url)("/v1/calls", {"tool": "git", "argv": ["diff", "link/key", "f"]})
    assert answer.json()["rule"] == "working-folder"
    assert b"approval-key" not in answer.content


class _Hook(BaseHTTPRequestHandler):
    received: "Queue[dict[str, Any]]"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.put(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_webhook_gets_each_denial_once(tmp_path: Path) -> None:
    received: Queue[dict[str, Any]] = Queue()
    server = ThreadingHTTPServer((HOST, 0), type("Hook", (_Hook,), {"received": received}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"http://{HOST}:{server.server_port}/"
        with serving(tmp_path, alerts={"webhook": url}) as process:
            ask = _Asked(process.url)
            ask("/v1/calls", TAG)
            ask("/v1/calls", STATUS)
            alert = received.get(timeout=20)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (alert["rule"], alert["principal"], alert["audit_seq"]) == ("no-approval", "agent", 1)
    assert received.empty()


def test_webhook_that_is_down_delays_no_answer_and_the_alert_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr("stack.policy.alerts.time.sleep", lambda seconds: None)
    alerts = Alerts(f"http://{HOST}:9/")
    names = ("seq", "at", "request_id", "principal", "rule", "reason", "call")
    alerts.raise_for(dict.fromkeys(names))
    alerts.close()
    (alert,) = alerts.after(0, 10)
    assert alert["delivery"].startswith("failed: ")


@pytest.mark.parametrize("failure", [BadStatusLine("SSH-2.0"), RuntimeError("anything")])
def test_answer_that_is_no_http_ends_no_delivery(monkeypatch: Any, failure: Exception) -> None:
    def fails(*given: Any, **more: Any) -> Any:
        raise failure

    monkeypatch.setattr("stack.policy.alerts.time.sleep", lambda seconds: None)
    monkeypatch.setattr("stack.policy.alerts.urllib.request.urlopen", fails)
    alerts = Alerts("http://webhook/")
    names = ("seq", "at", "request_id", "principal", "rule", "reason", "call")
    for _ in range(2):
        alerts.raise_for(dict.fromkeys(names))
    alerts.close()
    said = [alert["delivery"] for alert in alerts.after(0, 10)]
    assert said == [f"failed: {type(failure).__name__}: {failure}"] * 2
