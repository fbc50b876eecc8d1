"""Starts `python -m stack.policy` on a repository of its own, with doubles of what it cannot bring."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.61.0.1"
TOKENS = {
    "TIDEGATE_POLICY_AGENT_TOKEN": "agent-token-0123456789",
    "TIDEGATE_POLICY_APPROVER_TOKEN": "approver-token-0123456789",
    "TIDEGATE_POLICY_SECOND_APPROVER_TOKEN": "second-token-0123456789",
}
NAMES = ("agent", "approver-one", "approver-two")
# Stands for kubectl where the cluster is not what is tested: says what it was asked for.
KUBECTL = '#!/bin/sh\ncase "$*" in *" -o json"*) echo \'{"items": []}\';; *) echo "kubectl $*";; esac\n'
ROLES = (["requester"], ["requester", "approver", "reader"], ["requester", "approver", "reader"])


@dataclass
class Process:
    """A gateway that serves."""

    url: str
    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def audit_file(self) -> Path:
        return self.folder / "audit.jsonl"


def write_config(folder: Path, *, watched: Sequence[str] = ("pods",), **more: Any) -> Path:
    """A workspace with one commit, secrets, a kubectl that only talks, and the configuration's file."""
    workspace = folder / "workspace"
    workspace.mkdir()
    as_someone = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for argv in (
        ["init", "-q", "-b", "main", "--template="],
        [*as_someone, "commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run(["git", *argv], cwd=workspace, check=True, env=_plain_environment(folder))
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    (folder / "key").write_text("approval-key-0123456789")
    document: dict[str, Any] = {
        "name": "test",
        "workspace": "workspace",
        "audit_file": "audit.jsonl",
        "approvals": {"key": {"file": "key"}},
        "principals": [
            {"name": name, "roles": roles, "token": {"env": variable}}
            for name, roles, variable in zip(NAMES, ROLES, TOKENS, strict=True)
        ],
        "tools": {
            "kubectl": {
                "program": str(folder / "kubectl"),
                "namespaces": ["default"],
                "watched": list(watched),
            },
            "tests": {"unit": ["echo", "1 passed"], "slow": ["sleep", "60"], "loud": ["yes"]},
            "timeout_seconds": 10,
        },
    }
    file = folder / "policy.yaml"
    file.write_text(json.dumps(document | more))  # JSON is YAML
    return file


@contextmanager
def serving(folder: Path, config: Path | None = None, **more: Any) -> Iterator[Process]:
    """The gateway as a process, ended with the block."""
    file = config or write_config(folder, **more)
    command = [sys.executable, "-m", "stack.policy", "--host", HOST, "--port", "0", "--config", str(file)]
    with (folder / "stderr").open("a") as log:
        process = subprocess.Popen(
            command, env=os.environ | TOKENS, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        assert word == "ready", (folder / "stderr").read_text()
        yield Process(url, folder, process)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _plain_environment(folder: Path) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
