"""A permitted read only reads: it starts no program that the repository names, and changes no byte."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.policy import git
from stack.policy.calls import Call, Risk
from stack.policy.executor import Executor, Tools
from stack.policy.rules import Refuse

pytestmark = pytest.mark.component

READS = (
    "status", "status --short --branch", "status --porcelain=v2 -- a", "log", "log --stat -2", "log --graph",
    "log -1 --name-status -- a", "show", "show --stat HEAD", "show merged", "diff", "diff HEAD",
    "diff --cached", "diff HEAD~1 HEAD", "diff --stat", "diff -- a", "rev-parse HEAD",
    "rev-parse --abbrev-ref HEAD", "ls-files", "branch --list", "branch -v -a", "branch --show-current",
    "tag --list",
)  # fmt: skip
NAMED = {
    "fsmonitor": "core.fsmonitor", "pager": "core.pager", "editor": "core.editor", "ssh": "core.sshCommand",
    "ask": "core.askPass", "status pager": "pager.status", "diff pager": "pager.diff",
    "external diff": "diff.external", "diff driver": "diff.x.command", "textconv": "diff.x.textconv",
    "clean": "filter.x.clean", "process": "filter.x.process", "odd name": "filter.a=b.c.clean",
    "capitals": "FILTER.x.CLEAN", "alias": "alias.status", "credential": "credential.helper",
    "merge driver": "merge.x.driver", "gpg": "gpg.openpgp.program", "refs": "core.alternateRefsCommand",
    "upload pack": "remote.origin.uploadpack",
}  # fmt: skip


def _git(folder: Path, *argv: str) -> str:
    who = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who}
    return subprocess.run(
        ["git", *argv], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two commits, a merge, and a file whose index entry is out of date though its content is the same."""
    found = tmp_path / "workspace"
    found.mkdir()
    _git(found, "init", "-q", "-b", "main", "--template=")
    for number in range(2):
        (found / "a").write_text(f"{number}\n")
        (found / ".gitattributes").write_text("* filter=x diff=x merge=x\nb filter=a=b.c\n")
        (found / "b").write_text("b\n")
        _git(found, "add", ".")
        _git(found, "commit", "-q", "-m", str(number))
    _git(found, "branch", "other", "HEAD~1")
    _git(found, "merge", "-q", "--no-ff", "-s", "ours", "-m", "merge", "other", "--allow-unrelated-histories")
    tree = _git(found, "rev-parse", "HEAD^{tree}").strip()
    merged = _git(found, "commit-tree", tree, "-p", "HEAD", "-p", "other", "-m", "merged").strip()
    _git(found, "tag", "merged", merged)
    for file in ("a", "b"):
        os.utime(found / file, (1, 1))
    return found.resolve()


@pytest.fixture
def run(workspace: Path) -> Iterator[Callable[[str], str]]:
    executor = Executor(Tools("git", None, None, None, {}), workspace)

    def run_one(line: str) -> str:
        assert git.risk(line.split(), Refuse()) is Risk.R0
        outcome = executor.run(Call("git", tuple(line.split())))
        assert outcome.exit_code == 0, (line, outcome)
        return outcome.stdout

    yield run_one
    executor.close()


def _snapshot(workspace: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder: mode, time of change, content."""
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (workspace, *workspace.rglob("*"))
    }


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Says that it ran, and is otherwise a filter that changes nothing."""
    script = tmp_path / "program"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\nexec cat\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("line", READS)
def test_read_leaves_the_workspace_as_it_was(workspace: Path, run: Callable[[str], str], line: str) -> None:
    before = _snapshot(workspace)
    run(line)
    assert _snapshot(workspace) == before


def test_index_would_have_been_written(workspace: Path) -> None:
    before = _snapshot(workspace)
    _git(workspace, "-c", "core.attributesFile=/dev/null", "diff")
    assert _snapshot(workspace) != before


@pytest.mark.parametrize("setting", NAMED.values(), ids=NAMED.keys())
def test_no_setting_of_the_repository_starts_a_program(
    workspace: Path, run: Callable[[str], str], program: Path, setting: str
) -> None:
    _git(workspace, "config", setting, str(program))
    (workspace / "b").write_text("changed\n")
    before = _snapshot(workspace)
    for line in ("status", "diff", "diff HEAD", "log --stat -2", "show HEAD~1", "ls-files", "branch -v"):
        run(line)
    assert not (program.parent / "ran").exists()
    assert _snapshot(workspace) == before


def test_included_settings_start_none_either(
    workspace: Path, run: Callable[[str], str], program: Path
) -> None:
    included = workspace / "more"
    included.write_text(f'[filter "x"]\n\tclean = {program}\n\trequired = true\n')
    _git(workspace, "config", "include.path", "../more")
    (workspace / "a").write_text("changed\n")
    for line in ("status", "diff"):
        run(line)
    assert not (program.parent / "ran").exists()


def test_filter_would_have_run(workspace: Path, program: Path) -> None:
    _git(workspace, "config", "filter.x.clean", str(program))
    _git(workspace, "diff")
    assert (program.parent / "ran").exists()


def test_filter_whose_name_is_no_text_keeps_git_from_running(workspace: Path, program: Path) -> None:
    with (workspace / ".git/config").open("ab") as config:
        config.write(b'[filter "\xff"]\n\tclean = %s\n' % str(program).encode())
    (workspace / ".gitattributes").write_bytes(b"* filter=\xff\n")
    executor = Executor(Tools("git", None, None, None, {}), workspace)
    outcome = executor.run(Call("git", ("diff",)))
    executor.close()
    assert (outcome.exit_code, outcome.stderr) == (128, "the repository's settings cannot be read")
    assert not (program.parent / "ran").exists()


def test_signatures_are_verified_by_nobody(workspace: Path, run: Callable[[str], str], program: Path) -> None:
    _git(workspace, "config", "format.pretty", "%H %G?")
    _git(workspace, "config", "gpg.program", str(program))
    assert "Author:" in run("log")
    assert not (program.parent / "ran").exists()


def test_merge_is_not_made_again_to_be_shown(
    workspace: Path, run: Callable[[str], str], program: Path
) -> None:
    _git(workspace, "config", "log.diffMerges", "remerge")
    _git(workspace, "config", "merge.x.driver", f"{program} %A")
    before = _snapshot(workspace)
    for line in ("log --stat", "show merged"):
        run(line)
    assert not (program.parent / "ran").exists()
    assert _snapshot(workspace) == before


def test_submodule_and_its_settings_are_not_looked_into(
    workspace: Path, run: Callable[[str], str], program: Path
) -> None:
    sub = workspace / "sub"
    sub.mkdir()
    _git(sub, "init", "-q", "-b", "main", "--template=")
    (sub / "c").write_text("c\n")
    (sub / ".gitattributes").write_text("* filter=y\n")
    _git(sub, "add", ".")
    _git(sub, "commit", "-q", "-m", "c")
    head = _git(sub, "rev-parse", "HEAD").strip()
    (workspace / ".gitmodules").write_text(
        '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n\tignore = none\n'
    )
    _git(workspace, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    _git(workspace, "config", "submodule.sub.url", "./sub")
    _git(workspace, "config", "submodule.sub.ignore", "none")
    _git(workspace, "config", "status.submoduleSummary", "true")
    _git(workspace, "config", "diff.submodule", "diff")
    _git(sub, "config", "filter.y.clean", str(program))
    (sub / "c").write_text("changed\n")
    before = _snapshot(workspace)
    for line in ("status", "diff", "diff --cached", "diff HEAD"):
        run(line)
    assert not (program.parent / "ran").exists()
    assert _snapshot(workspace) == before


def test_missing_object_is_fetched_from_nowhere(workspace: Path, program: Path) -> None:
    for name, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", str(workspace)),
        ("remote.origin.uploadpack", str(program)),
        ("protocol.file.allow", "always"),
    ):
        _git(workspace, "config", name, value)
    blob = _git(workspace, "rev-parse", "HEAD~1:a").strip()
    (workspace / ".git/objects" / blob[:2] / blob[2:]).unlink()
    executor = Executor(Tools("git", None, None, None, {}), workspace)
    outcome = executor.run(Call("git", ("show", "HEAD~1")))
    executor.close()
    assert outcome.exit_code != 0
    assert not (program.parent / "ran").exists()


def test_work_tree_elsewhere_is_not_read(workspace: Path, run: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    _git(workspace, "config", "core.worktree", str(tmp_path))
    assert "secret" not in run("status --short")
