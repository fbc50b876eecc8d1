"""Of which code a result is: results of another simulator or another engine are never mixed.

Owns the fingerprints. Comments, docstrings and layout do not change them.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "guard" / "core"
SIMULATOR = ["arrivals", "evals", "faults", "fleet", "incidents", "noise", "rollout", "scenario", "service"]
PEERS = ["argo", "flagger", "kayenta", "mann_whitney", "prometheus"]


@cache
def simulator() -> str:
    """Of what makes rollouts."""
    return _digest(HERE / f"{name}.py" for name in SIMULATOR)


@cache
def peers() -> str:
    """Of the simulator and the peers' rules."""
    return _digest(HERE / f"{name}.py" for name in SIMULATOR + PEERS)


@cache
def engine() -> str:
    """Of the simulator and all of guard/core."""
    ours = [HERE / f"{name}.py" for name in [*SIMULATOR, "engine"]]
    return _digest([*ours, *sorted(CORE.glob("*.py"))])


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        digest.update(_meaning(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:10]


def _meaning(source: str) -> str:
    """The syntax tree without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
    return ast.dump(tree)


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
