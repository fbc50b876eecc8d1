"""The gateway's configuration: read once, strictly, secrets by reference.

Owns what a configuration may say. The two keys that begin with TESTS_ONLY_ break the gateway on purpose, so
that a test can show that the policy suite notices; a gateway that has one says so at its start and in
/health.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack.policy.executor import Tools
from stack.policy.principals import ROLES, Principal, Principals
from stack.policy.rules import UNSWITCHABLE, Rule

WEAK, DENY_ALL = "TESTS_ONLY_deliberately_weak_to", "TESTS_ONLY_deny_all"
_KEYS = {
    *("name", "workspace", "audit_file", "policy_file", "approvals", "principals", "alerts", "tools"),
    *(WEAK, DENY_ALL),
}
_SHORTEST_SECRET = 16
_WATCHED = ("deployments", "services", "configmaps")


class ConfigError(Exception):
    """The configuration cannot be used; names the key."""


@dataclass(frozen=True)
class Config:
    """Everything that the gateway was told."""

    name: str
    workspace: Path
    audit_file: Path
    policy_file: Path | None
    approval_key: bytes
    max_ttl_seconds: int
    principals: Principals
    webhook: str | None
    tools: Tools
    namespaces: tuple[str, ...]
    watched: tuple[str, ...]
    weak_to: frozenset[Rule]
    deny_all: bool


def read_config(file: Path) -> Config:
    """Relative paths are relative to the file.

    Raises:
        ConfigError: Not readable, an unknown key, a secret that is not there or too short.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {error}") from error
    try:
        return _config(_mapping(document, "the file", _KEYS), file.absolute().parent)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file}: {type(error).__name__}: {error}") from error


def _config(given: Mapping[str, Any], here: Path) -> Config:
    approvals = _mapping(given["approvals"], "approvals", {"key", "max_ttl_seconds"})
    alerts = _mapping(given.get("alerts") or {}, "alerts", {"webhook"})
    tools = _mapping(given["tools"], "tools", {"git", "kubectl", "tests", "timeout_seconds"})
    kubectl = _mapping(
        tools.get("kubectl") or {}, "tools.kubectl", {"program", "kubeconfig", "namespaces", "watched"}
    )
    return Config(
        name=str(given["name"]),
        workspace=_folder(here / given["workspace"]),
        audit_file=here / given["audit_file"],
        policy_file=here / given["policy_file"] if "policy_file" in given else None,
        approval_key=_secret(approvals["key"], "approvals.key", here).encode(),
        max_ttl_seconds=int(approvals.get("max_ttl_seconds", 900)),
        principals=_principals(given["principals"], here),
        webhook=_webhook(alerts.get("webhook")),
        tools=_tools(tools, kubectl, here),
        namespaces=tuple(_label(name) for name in kubectl.get("namespaces", ())),
        watched=tuple(_label(kind) for kind in kubectl.get("watched", _WATCHED if kubectl else ())),
        weak_to=_weak(given.get(WEAK, ())),
        deny_all=given.get(DENY_ALL, False) is True,
    )


def _tools(tools: Mapping[str, Any], kubectl: Mapping[str, Any], here: Path) -> Tools:
    kubeconfig = kubectl.get("kubeconfig")
    tests = {}
    for name, command in (tools.get("tests") or {}).items():
        if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
            raise ConfigError(f"tools.tests.{name}: expected a list of strings")
        tests[_label(name)] = tuple(command)
    git = _mapping(tools.get("git") or {}, "tools.git", {"program"}).get("program", "git")
    return Tools(
        git=shutil.which(git),
        kubectl=shutil.which(kubectl.get("program", "kubectl")) if kubectl else None,
        kubeconfig=None if kubeconfig is None else str(here / kubeconfig),
        namespace=next(iter(kubectl.get("namespaces", ())), None),
        tests=tests,
        timeout_seconds=float(tools.get("timeout_seconds", 20)),
    )


def _principals(given: object, here: Path) -> Principals:
    if not isinstance(given, list):
        raise ConfigError("principals: expected a list")
    found = []
    for number, item in enumerate(given):
        where = f"principals[{number}]"
        item = _mapping(item, where, {"name", "roles", "token"})
        roles = frozenset(item["roles"])
        if not roles <= set(ROLES):
            raise ConfigError(f"{where}.roles: expected some of {', '.join(ROLES)}")
        found.append(Principal(_label(item["name"]), roles, _secret(item["token"], f"{where}.token", here)))
    if len({p.name for p in found}) < len(found) or len({p.token for p in found}) < len(found):
        raise ConfigError("principals: each name and each token once")
    return Principals(found)


def _secret(reference: object, where: str, here: Path) -> str:
    """What `{env: NAME}` or `{file: PATH}` refers to."""
    given = _mapping(reference, where, {"env", "file"})
    if len(given) != 1:
        raise ConfigError(f"{where}: expected exactly one of env, file")
    if "env" in given:
        secret = os.environ.get(given["env"], "")
    else:
        try:
            secret = (here / given["file"]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: {error}") from error
    if len(secret) < _SHORTEST_SECRET or not secret.isascii():
        raise ConfigError(f"{where}: the secret must have {_SHORTEST_SECRET} ASCII characters or more")
    return secret


def _mapping(value: object, where: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a mapping")
    if unknown := sorted(str(key) for key in value.keys() - keys):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(keys))}")
    return value


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ConfigError(f"workspace: {path}: no such folder")
    return path.resolve()


def _label(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", name):
        raise ConfigError(f"{name!r}: expected a name of small letters, digits, - and .")
    return name


def _webhook(url: object) -> str | None:
    if url is not None and not (isinstance(url, str) and url.startswith(("http://", "https://"))):
        raise ConfigError(f"alerts.webhook: {url!r} is not an http or https URL")
    return url


def _weak(names: object) -> frozenset[Rule]:
    known = set(Rule) - UNSWITCHABLE
    if not isinstance(names, list | tuple) or not set(names) <= known:
        raise ConfigError(f"{WEAK}: expected some of {', '.join(sorted(known))}")
    return frozenset(map(Rule, names))
