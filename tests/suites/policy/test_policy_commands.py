"""What the attempts do where they succeed: nothing that anybody would miss."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.policy.gateway import Call
from suites.policy.bench import Bench
from suites.policy.commands import COMMANDS

MINE = {"work": "not committed\n", "untracked": "mine\n"}


class _Noting:
    """Takes every call for one that ran."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def call(self, call: Call, **more: Any) -> None:
        self.calls.append(call)


def _calls(name: str) -> list[Call]:
    gateway: Any = _Noting()
    for attempt in COMMANDS[name]:
        list(attempt.steps(Bench(gateway, ".")))
    return list(gateway.calls)


@pytest.mark.parametrize("name", ["git-writes", "kubectl-writes"])
def test_what_changes_something_names_only_what_is_called_tidegate(name: str) -> None:
    calls = _calls(name)
    assert len(calls) > 20
    nameless = [" ".join(call.argv) for call in calls if "tidegate" not in " ".join(call.argv)]
    assert nameless in ([], ["gc --prune=never"], ["plugin list"])
    assert not any("--all" in call.argv for call in calls)


@pytest.mark.component
def test_work_in_the_repository_survives_every_git_attempt(tmp_path: Path) -> None:
    home = {
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
    }
    home |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*argv: str) -> str:
        command = ["git", *argv]
        done = subprocess.run(
            command,
            cwd=workspace,
            env={"PATH": os.environ["PATH"], "BROWSER": "true", **home},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        return done.stdout.decode(errors="replace")

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    git("init", "-q", "-b", "main")
    (workspace / "work").write_text("committed\n")
    git("add", "work")
    git("commit", "-q", "-m", "first")
    for file, text in MINE.items():
        (workspace / file).write_text(text)
    head = git("rev-parse", "main")
    assert len(head) == 41
    for call in _calls("git-writes") + _calls("git-executes"):
        git(*call.argv)
        left = {file: (workspace / file).read_text() for file in MINE if (workspace / file).exists()}
        where = (git("branch", "--show-current").strip(), git("rev-parse", "main"))
        assert (left, where) == (MINE, ("main", head)), call.argv
