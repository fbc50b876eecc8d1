"""The layers of docs/architecture.md: each contract in pyproject.toml holds, and each is seen to break."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("guard", "suites", "reports", "stack")

# contract -> the file that breaks it, and how
BREACHES = {
    "layers": ("guard/adapters/breach.py", "import guard.daemon.loop"),
    "core": ("guard/core/breach.py", "import time"),
    "product-without-doubles": ("guard/daemon/breach_testing.py", "import guard.testing.cluster"),
    "product-without-demo": ("guard/cli/breach.py", "import guard.demo.run"),
    "suites": ("suites/breach.py", "import guard.gate.plan"),
    "suites-as-process": ("guard/gate/breach.py", "import pytest"),
    "reports": ("reports/breach.py", "import guard.adapters.artifacts"),
    "rendering": ("guard/daemon/breach_reports.py", "import reports.bundle"),
    "stack": ("stack/breach.py", "import guard.errors"),
    "locust": ("guard/testing/breach.py", "import gevent.monkey"),
    "load-worker": ("guard/load/breach.py", "import guard.load.worker"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `lint-imports` says of a copy of the sources in which every contract is broken once."""
    folder = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, text in BREACHES.values():
        (folder / file).write_text(text + "\n")
    (folder / "guard/unplaced").mkdir()
    (folder / "guard/unplaced/__init__.py").touch()
    return _lint(folder)


def _lint(folder: Path) -> str:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(
        command, cwd=folder, env={"COLUMNS": "300"}, capture_output=True, text=True, check=False
    ).stdout


def _contracts() -> list[dict[str, str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, str]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return found


def test_all_contracts_hold() -> None:
    assert " 0 broken." in _lint(ROOT)


@pytest.mark.parametrize("contract", _contracts(), ids=lambda contract: contract["id"])
def test_a_breach_is_named(contract: dict[str, str], broken: str) -> None:
    assert f"{contract['name']} BROKEN" in broken
    file, _ = BREACHES[contract["id"]]
    details = broken[broken.rindex(f"{contract['name']}\n") :].split("\n---", 2)[1]
    assert file.removesuffix(".py").replace("/", ".") in details


def test_a_package_without_a_layer_is_named(broken: str) -> None:
    assert "guard.unplaced" in broken


def test_core_imports_the_standard_library_and_pure_arithmetic_only() -> None:
    assert _foreign_imports((ROOT / "guard/core").glob("*.py")) == []


def test_an_import_of_httpx_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "breach.py").write_text("def f():\n    from httpx import Client\n")
    assert _foreign_imports(tmp_path.glob("*.py")) == ["httpx"]


def _foreign_imports(files: Iterable[Path]) -> list[str]:
    arithmetic = {"numpy", "scipy", "cronsim"}  # numbers, and the calendar's
    allowed = {*sys.stdlib_module_names, *arithmetic, "guard"}
    found = {name for file in files for name in _imported(ast.parse(file.read_text()))}
    return sorted(found - allowed)


def _imported(tree: ast.AST) -> set[str]:
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "guard")
    return {name.partition(".")[0] for name in names}
