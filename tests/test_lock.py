"""requirements.lock: what `make setup` installs. Whether it can be had is proved by installing it."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def _asked() -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    project = settings["project"]
    groups = [*project["optional-dependencies"].values(), *settings["dependency-groups"].values()]
    lines = [*project["dependencies"], *settings["build-system"]["requires"], *(x for g in groups for x in g)]
    return [asked for asked in map(Requirement, lines) if asked.name != project["name"]]


def test_the_lock_holds_a_version_that_pyproject_admits_of_everything_it_asks_for() -> None:
    missing = [str(asked) for asked in _asked() if not _locked(asked)]
    assert not missing, f"run `make lock`: {', '.join(missing)}"


def test_a_version_that_is_too_old_or_not_there_would_be_seen() -> None:
    assert not _locked(Requirement("click>=999"))
    assert not _locked(Requirement("no-such-package"))


def _locked(asked: Requirement) -> bool:
    pin = PINS.get(asked.name.lower().replace("_", "-"))
    return pin is not None and asked.specifier.contains(pin, prereleases=True)


def test_every_locked_package_has_a_hash() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert [entry for entry in entries if not re.search(r" \\\n +--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_the_lock_holds_no_address_and_no_path() -> None:
    assert [
        line for line in LOCK.splitlines() if re.search(r"://|@|(^|\s)-[a-z-]*(index|find)|/", line)
    ] == []
