"""How git is started so that a call is all it does, whatever the repository's own settings say.

Owns what is turned off before every call: programs, transports, signature checks, other repositories, and
every write beside the call's own. Most of it has a fixed name. A filter's name is the repository's to choose,
so the settings are listed first (`LIST` starts no program) and each filter that they name is emptied.

Read against git 2.39: Documentation/config, convert.c, builtin/diff.c, submodule.c.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

_SETTINGS = {
    # A bare repository can lie among committed files, and bring settings: only a `.git` is one.
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.editor": "false",
    "core.sshCommand": "false",
    "core.askPass": "false",
    "core.alternateRefsCommand": "false",
    "core.attributesFile": "/dev/null",
    "credential.helper": "",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",
    "format.pretty": "medium",  # `%G?` verifies signatures
    "log.diffMerges": "separate",  # `remerge` merges again, with merge drivers and objects of its own
    "gpg.program": "false",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "submodule.recurse": "false",
    "status.submoduleSummary": "false",
    "diff.submodule": "short",
    "diff.autoRefreshIndex": "false",  # else `diff` writes the index, GIT_OPTIONAL_LOCKS or not
}
_WITHOUT_DRIVERS = ("--no-ext-diff", "--no-textconv")
# git looks into a submodule by starting itself there, under the submodule's own settings.
_NOT_INTO_OTHERS = "--ignore-submodules=all"
_OPTIONS = {
    "status": (_NOT_INTO_OTHERS,),
    **dict.fromkeys(("diff", "log", "show"), (*_WITHOUT_DRIVERS, _NOT_INTO_OTHERS)),
}
_FILTER_KEYS = (".clean", ".smudge", ".process")
# A global file that cannot be made, where there is none to read. Not /dev/null: `git config --global`, run as
# root by a gateway that lets it through, puts a regular file in the device's place.
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/nonexistent/gitconfig",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",  # from git 2.45; before it, no transport is allowed anyway
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
}
LIST = ("config", "--list", "--name-only", "-z")


def start(program: str) -> list[str]:
    """The command up to its verb."""
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return [program, "--no-pager", *settings]


def options(verb: str) -> tuple[str, ...]:
    """What stands behind the verb, before the caller's own."""
    return _OPTIONS.get(verb, ())


def environment(top: Path, names: Iterable[str]) -> Mapping[str, str]:
    """Of one call in the repository whose settings have these names.

    Its files are those below `top`, whatever core.worktree says. By the environment, since `-c` cannot name
    a filter that has a `=` in its name.
    """
    emptied = {name: "" for name in names if name.lower().startswith("filter.") and _is_program(name)}
    emptied |= {f"{name.rpartition('.')[0]}.required": "false" for name in emptied}
    found = {"GIT_WORK_TREE": str(top), "GIT_CONFIG_COUNT": str(len(emptied))}
    for number, (name, value) in enumerate(emptied.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _is_program(name: str) -> bool:
    return name.lower().endswith(_FILTER_KEYS)
