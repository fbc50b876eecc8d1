"""How tools are started: what they must not find is not there for them."""

import subprocess

from stack.policy.executor import Executor, Tools


def test_git_finds_no_repository_above_the_workspace(tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    subprocess.run(["git", "init", "-q", "--template=", str(tmp_path)], check=True)
    executor = Executor(Tools("git", None, None, None, {}), workspace.resolve())
    try:
        outcome = executor.process(["git", "rev-parse", "--show-toplevel"], workspace)
    finally:
        executor.close()
    assert outcome.exit_code == 128, outcome
