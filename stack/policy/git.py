"""git: which calls are allowed at which risk, and how git is started so that a call is all it does.

Read against git 2.39. git executes much that does not look like it (aliases, pagers, external diffs, hooks,
remote helpers); those options and verbs stand in no form. The lists below only name *why* a call is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path

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

# Before every call. What a repository's own settings could start is off; no transport is allowed. A bare
# repository can lie among committed files, and bring settings: only a `.git` is one.
_SETTINGS = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.editor": "false",
    "core.sshCommand": "false",
    "core.attributesFile": "/dev/null",
    "credential.helper": "",
    "protocol.allow": "never",
    "gc.auto": "0",
    "log.showSignature": "false",
    "gpg.program": "false",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "submodule.recurse": "false",
}
_WITHOUT_DRIVERS = dict.fromkeys(("diff", "log", "show"), ("--no-ext-diff", "--no-textconv"))
# A global file that cannot be made, where there is none to read. Not /dev/null: `git config --global`, run as
# root by a gateway that lets it through, puts a regular file in the device's place.
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/nonexistent/gitconfig",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
}


def risk(argv: Sequence[str], refuse: Refuse) -> Risk:
    """The risk of the exact call; refuses what has no form."""
    found = risk_in(FORMS, argv)
    if found is None:
        refuse(_why(argv), f"git {list(argv)!r} is none of the allowed forms")
        return Risk.R0
    return found


def command(program: str, argv: Sequence[str]) -> list[str]:
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    # What stands before it is a revision: of two paths, git would compare any files.
    closed = ["--"] if argv[0] == "diff" and "--" not in argv else []
    started = [program, "--no-pager", *settings, argv[0], *_WITHOUT_DRIVERS.get(argv[0], ())]
    return [*started, *argv[1:], *closed]


def has_work_tree(folder: Path, workspace: Path) -> bool:
    """Whether the folder lies in a repository of the workspace; outside one, diff reads any file.

    A `.git` that is a file or a link names a repository that may be anywhere, and is none.
    """
    inside = (parent for parent in (folder, *folder.parents) if parent.is_relative_to(workspace))
    found = next((parent / ".git" for parent in inside if os.path.lexists(parent / ".git")), None)
    if found is None or found.is_symlink():
        return False
    return all(os.path.exists(found / part) for part in ("HEAD", "objects", "refs"))


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
