"""One hash over everything that the tools could have changed: the workspace's files and the watched objects.

Owns what counts as a change. An object's status and resourceVersion do not: a cluster moves by itself.
"""

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from stack.policy.calls import canonical, sha256
from stack.policy.executor import Executor

_MOST_BYTES = 32 * 1024 * 1024


class StateError(Exception):
    """The backend cannot be looked at."""


def state_hash(workspace: Path, executor: Executor, namespaces: Sequence[str], watched: Sequence[str]) -> str:
    """Raises StateError when the cluster does not answer."""
    return sha256(
        canonical({"files": _files(workspace), "objects": _objects(executor, workspace, namespaces, watched)})
    )


def _files(workspace: Path) -> list[list[str]]:
    found = []
    for folder, names, files in os.walk(workspace):
        names.sort()
        for name in sorted([*names, *files]):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                content = os.readlink(path)
            else:
                content = sha256(path.read_bytes()) if stat.S_ISREG(mode) else ""
            found.append([str(path.relative_to(workspace)), oct(mode), content])
    return found


def _objects(
    executor: Executor, workspace: Path, namespaces: Sequence[str], watched: Sequence[str]
) -> list[str]:
    found = []
    for namespace in namespaces if watched else ():
        command = executor.kubectl_command("get", ",".join(watched), "-n", namespace, "-o", "json")
        outcome = executor.process(command, workspace, _MOST_BYTES)
        if outcome.exit_code != 0 or outcome.truncated:
            raise StateError(
                f"kubectl get in {namespace}: {outcome.stderr.strip()[:300] or 'output too long'}"
            )
        for item in json.loads(outcome.stdout)["items"]:
            meta = item["metadata"]
            kept = {key: value for key, value in item.items() if key not in ("metadata", "status")}
            kept |= {key: meta.get(key) for key in ("name", "namespace", "uid", "labels")}
            found.append(json.dumps(kept, sort_keys=True))
    return sorted(found)
