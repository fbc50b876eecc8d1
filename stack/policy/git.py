"""git: which calls are allowed at which risk, and the command of one.

Read against git 2.39. git executes much that does not look like it (aliases, pagers, external diffs, hooks,
remote helpers); those options and verbs stand in no form. The lists below only name *why* a call is refused.
What a repository's settings could start is `git_settings`'s.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from stack.policy import git_settings
from stack.policy.calls import Risk
from stack.policy.grammar import Form, is_one_of, risk_in
from stack.policy.rules import Refuse, Rule

_NOT_UP = r"(?!(?:.*/)?\.\.(?:/|$))"
_REVISION = rf"{_NOT_UP}[A-Za-z0-9][A-Za-z0-9._/~^-]{{0,99}}"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9])){0,99}"
_PATH = rf"(?!-)(?!/)(?!:){_NOT_UP}[A-Za-z0-9._/ -]{{1,200}}"
_SHOWN = r"--stat|--oneline|--name-only|--name-status|--no-color"
_COUNTED = {"-n": r"\d{1,4}", "--max-count": r"\d{1,4}"}

FORMS = (
    Form(("status",), Risk.R0, r"-s|-b|-sb|--short|--branch|--porcelain(=v[12])?", path=_PATH),
    Form(
        ("log",),
        Risk.R0,
        rf"{_SHOWN}|--graph|--merges|--no-merges|--reverse|--max-count=\d{{1,4}}|-\d{{1,4}}",
        _COUNTED,
        _REVISION,
        most=2,
        path=_PATH,
    ),
    Form(("show",), Risk.R0, _SHOWN, operand=_REVISION, most=1, path=_PATH),
    Form(("diff",), Risk.R0, rf"{_SHOWN}|--cached|--staged", operand=_REVISION, most=2, path=_PATH),
    Form(("rev-parse",), Risk.R0, r"--short|--abbrev-ref|--verify", operand=_REVISION, least=1, most=1),
    Form(("ls-files",), Risk.R0, path=_PATH),
    Form(("branch",), Risk.R0, r"--list|-a|-r|-v|--show-current"),
    Form(("tag",), Risk.R0, r"--list|-l"),
    Form(("tag",), Risk.R2, operand=_NAME, least=1, most=1),
    Form(("branch",), Risk.R2, operand=_NAME, least=1, most=1),
    Form(("tag", "-d"), Risk.R3, operand=_NAME, least=1, most=1),
    Form(("branch", "-D"), Risk.R3, operand=_NAME, least=1, most=1),
)

_EXECUTES = (
    *("-c", "--config-env", "--exec-path", "-p", "--paginate", "--ext-diff", "--textconv", "--filters"),
    *("-O", "--open-files-in-pager", "--upload-pack", "--receive-pack", "--exec", "-x", "--extcmd"),
    "--show-signature",
)
_WRITES = (
    "--output",
    "--output-directory",
    "-o",
    "-f",
    "-m",
    "-M",
    "--edit-description",
    "--set-upstream-to",
)
_ELSEWHERE = ("-C", "--git-dir", "--work-tree", "--no-index", "--contents", "--bare", "--namespace")
_EXECUTING_VERBS = frozenset(
    [
        *("am", "bisect", "clone", "commit", "daemon", "difftool", "fetch", "fetch-pack"),
        *("filter-branch", "grep", "help", "instaweb", "ls-remote", "merge", "mergetool", "pull"),
        *("push", "rebase", "remote-ext", "send-email", "submodule", "upload-pack", "var"),
        *("web--browse"),
    ]
)
_WRITING_VERBS = frozenset(
    [
        *("add", "apply", "archive", "branch", "bundle", "checkout", "cherry-pick", "clean"),
        *("config", "format-patch", "gc", "hash-object", "init", "mv", "notes", "prune", "reflog"),
        *("remote", "replace", "reset", "restore", "revert", "rm", "stash", "switch", "tag"),
        *("update-index", "update-ref", "worktree", "write-tree"),
    ]
)


def risk(argv: Sequence[str], refuse: Refuse) -> Risk:
    """The risk of the exact call; refuses what has no form."""
    found = risk_in(FORMS, argv)
    if found is None:
        refuse(_why(argv), f"git {list(argv)!r} is none of the allowed forms")
        return Risk.R0
    return found


def command(program: str, argv: Sequence[str]) -> list[str]:
    # What stands before it is a revision: of two paths, git would compare any files.
    closed = ["--"] if argv[0] == "diff" and "--" not in argv else []
    return [*git_settings.start(program), argv[0], *git_settings.options(argv[0]), *argv[1:], *closed]


def work_tree(folder: Path, workspace: Path) -> Path | None:
    """The top of the workspace's repository in which the folder lies; outside one, diff reads any file.

    A `.git` that is a file or a link names a repository that may be anywhere, and is none.
    """
    inside = (parent for parent in (folder, *folder.parents) if parent.is_relative_to(workspace))
    top = next((parent for parent in inside if os.path.lexists(parent / ".git")), None)
    if top is None or (top / ".git").is_symlink():
        return None
    return top if all(os.path.exists(top / ".git" / part) for part in ("HEAD", "objects", "refs")) else None


def _why(argv: Sequence[str]) -> Rule:
    options = [token for token in argv if token.startswith("-")]
    if not argv[0].startswith("-") and argv[0].casefold() != argv[0]:
        return Rule.DISGUISED_NAME
    for rule, known in (
        (Rule.GIT_ELSEWHERE, _ELSEWHERE),
        (Rule.GIT_EXECUTES, () if argv[0] in _WRITING_VERBS else _EXECUTES),
        (Rule.GIT_WRITES, _WRITES),
    ):
        if any(is_one_of(option, known, abbreviated=True) for option in options):
            return rule
    if argv[0] in _EXECUTING_VERBS:
        return Rule.GIT_EXECUTES
    if argv[0] in _WRITING_VERBS:
        return Rule.GIT_WRITES
    outside = any(token.startswith(("/", ":")) or ".." in token.split("/") for token in argv)
    return Rule.GIT_ELSEWHERE if outside else Rule.NOT_ALLOWED
