"""manifest.json as a reader finds it: the files that it lists, and what in it may not be believed.

Owns what an entry and a name must look like: a name that leaves the folder, hides itself or stands twice is
refused and its file never opened. Refuses to look at files.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import rfc8785

from guard.adapters.artifacts import MANIFEST_FORMAT
from guard.core.evidence import RawFile
from guard.core.text import one_line, visible
from guard.errors import ConfigurationError

MANIFEST = "manifest.json"
_LONGEST_PATH, _LONGEST_NAME = 1024, 255  # characters; bytes, as file systems have it
_LONGEST_SHOWN = 200


class Problem(StrEnum):
    """What is wrong with a file."""

    CHANGED = "changed"
    ADDED = "added"
    MISSING = "missing"
    DAMAGED = "damaged"  # not what its name says: no JSON, no Parquet, no manifest
    REFUSED = "refused"  # a link, no plain file, or a name that is no place in the folder
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Finding:
    """One file that is not as it was sealed; `path` is relative to the folder and fit to be shown."""

    path: str
    problem: Problem
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}: {self.reason}"


def finding(path: str, problem: Problem, reason: object) -> Finding:
    """A finding whose texts, which others wrote, are harmless to show."""
    shown = visible(path).replace("\n", "\\n").replace("\t", "\\t")
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[: _LONGEST_SHOWN - 1]}…"
    return Finding(shown, problem, one_line(str(reason)))


def parse_manifest(content: bytes, shown: str) -> tuple[tuple[RawFile, ...], tuple[Finding, ...]]:
    """The files that a manifest lists, and its faults; no file where it is no manifest.

    Args:
        shown: The manifest's own path, for findings.
    Raises:
        ConfigurationError: It is of a format that this version does not read.
    """
    try:
        document = json.loads(content)
        rows, version = document["files"], document["format"]
        canonical = rfc8785.dumps(document) == content and isinstance(rows, list)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        return (), (finding(shown, Problem.DAMAGED, f"no manifest: {error}"),)
    if version != MANIFEST_FORMAT:
        raise ConfigurationError(
            f"{shown}: format {one_line(str(version), 80)!r} is not known to this version of Tidegate, which "
            f"reads {MANIFEST_FORMAT!r}: use the version that wrote it, or a newer one"
        )
    if not canonical:
        reason = "not in canonical form (RFC 8785), in which it was written"
        return (), (finding(shown, Problem.DAMAGED, reason),)
    found = list(_entries(rows, shown))
    files = tuple(entry for entry in found if isinstance(entry, RawFile))
    return files, tuple(entry for entry in found if isinstance(entry, Finding))


def parse_entry(row: Any) -> RawFile | None:
    """One row of a list of files, None when it is none; a later version may add keys to it."""
    try:
        path, sha256, size = row["path"], row["sha256"], row["bytes"]
    except (LookupError, TypeError):
        return None
    if not isinstance(path, str) or not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        return None
    return RawFile(path, sha256, size) if type(size) is int and size >= 0 else None


def _entries(rows: list[Any], shown: str) -> Iterator[RawFile | Finding]:
    folder = shown.removesuffix(MANIFEST)
    seen: set[str] = set()
    for number, row in enumerate(rows):
        entry = parse_entry(row)
        if entry is None:
            yield finding(shown, Problem.DAMAGED, f"its entry {number} is none: {row!r}")
        elif why := _strange(entry.path):
            yield finding(folder + entry.path, Problem.REFUSED, f"named in the manifest: {why}")
        elif entry.path in seen:
            yield finding(folder + entry.path, Problem.REFUSED, "twice in the manifest")
        else:
            seen.add(entry.path)
            yield entry


def _strange(path: str) -> str | None:
    """Why a path is no place inside the folder; None when it is one."""
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(parts):
        return "no path inside the folder"
    if visible(path) != path or "\n" in path or "\t" in path:
        return "it has characters that cannot be shown"
    if len(path) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return f"{len(path)} characters are too long"
    return "a manifest cannot list itself" if path == MANIFEST else None
