"""Whether verdict.json, and what was rendered with it for people, says what the sealed evidence says.

Owns the comparison of verdict.json with report.json, field by field, and with the manifest, row by row, and
the copies' checksums, which verdict.json has. Refuses to know whether the evidence itself is whole.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rfc8785

from guard.adapters.evidence import REPORT, VERDICT, EvidenceFolder, parse_report
from guard.adapters.evidence_file import check_file, read_file
from guard.adapters.evidence_manifest import MANIFEST, Finding, Problem, finding, parse_entry
from guard.core.evidence import RawFile
from guard.core.text import sanitized
from guard.errors import ConfigurationError

_LEFT_OUT = frozenset(("requests", "traffic"))  # of report.json in verdict.json
_ROW = {"path", "sha256", "bytes"}


def copy_findings(
    folder: EvidenceFolder,
    copies: Sequence[str],
    files: Sequence[RawFile] | None,
    manifest: RawFile | None,
    damaged: Collection[str],
) -> Iterator[Finding]:
    """verdict.json and what was rendered with it, against what is sealed and not `damaged`.

    Args:
        files: What the manifest lists; None where that cannot be believed.
        manifest: The manifest itself, as it is.
    """
    assert folder.beside is not None
    content, findings = read_file(folder.beside / VERDICT, VERDICT)
    yield from findings
    if content is None:
        return
    try:
        document = json.loads(content)
        listed = list(document["files"])
        rows = {entry.path: entry for entry in map(parse_entry, listed) if entry}
        as_written = (json.dumps(document, indent=2) + "\n").encode() == content
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        yield finding(VERDICT, Problem.DAMAGED, f"no verdict: {error}")
        return
    for name in copies:
        if name != VERDICT:
            yield from _check_copy(folder.beside / name, rows.get(name))
    reasons = [*_other_rows(listed, copies), *_other_checksums(rows, files, manifest)]
    if files is not None and all(file.path != REPORT for file in files):
        yield finding(folder.shown(REPORT), Problem.MISSING, f"not in the manifest: {VERDICT} is of nothing")
    elif folder.shown(REPORT) not in damaged:
        reasons += _other_fields(content, folder.evidence / REPORT)
    if not (reasons or as_written):
        reasons = ["not in the form in which it was written"]
    yield from (finding(VERDICT, Problem.CHANGED, reason) for reason in reasons)


def _check_copy(path: Path, entry: RawFile | None) -> Iterator[Finding]:
    if not os.path.lexists(path):
        yield finding(path.name, Problem.MISSING, f"not beside {VERDICT}")
    elif path.is_symlink() or not path.is_file():
        yield finding(path.name, Problem.REFUSED, "a link or no plain file: not read")
    elif entry is None:
        yield finding(path.name, Problem.ADDED, f"{VERDICT} has no checksum of it")
    else:
        yield from check_file(path, path.name, entry, f" by {VERDICT}")


def _other_checksums(
    rows: Mapping[str, RawFile], files: Sequence[RawFile] | None, manifest: RawFile | None
) -> Iterator[str]:
    """Files of which verdict.json says something else than the manifest."""
    if files is None:
        return
    sealed = {f"evidence/{file.path}": (file.sha256, file.bytes) for file in files}
    said = {path: (row.sha256, row.bytes) for path, row in rows.items() if path.startswith("evidence/")}
    own = said.pop(f"evidence/{MANIFEST}", None)
    other = sorted({path for path, _ in sealed.items() ^ said.items()})
    if own is None or (manifest and own[0] == manifest.sha256 and own[1] != manifest.bytes):
        other.append(f"evidence/{MANIFEST}")  # another digest is named already
    if other:
        yield f"its checksums are not those of the manifest: {', '.join(other[:3])}"


def _other_rows(listed: Iterable[Any], copies: Collection[str]) -> Iterator[str]:
    """Rows that are none, say more than a checksum, stand twice, or are of no file that is there to check."""
    places: set[str] = set()
    other = []
    for number, row in enumerate(listed):
        entry = parse_entry(row)
        place = entry.path if entry and row.keys() == _ROW else ""
        if place in places or not (place in copies or place.startswith("evidence/")):
            other.append(str(number))
        places.add(place)
    if other:
        yield f"its list of files has rows that Tidegate does not write: {', '.join(other[:5])}"


def _other_fields(verdict: bytes, report: Path) -> Iterator[str]:
    """Fields in which verdict.json is not report.json, which the manifest covers."""
    try:
        sealed = report.read_bytes()
        shared = _fields(sealed)
    except (OSError, ValueError, AttributeError, RecursionError):
        return  # named already
    said = _fields(verdict)
    names = {*shared, *said} - {"files"}
    other = {name for name in names if said.get(name) != (None if name in _LEFT_OUT else shared.get(name))}
    other |= _otherwise_written(json.loads(verdict), sealed)
    if other:
        yield f"other than in evidence/{REPORT}: {', '.join(sorted(other)[:5])}"


def _otherwise_written(said: Mapping[str, Any], report: bytes) -> set[str]:
    """Fields whose values are equal, and not of the type in which Tidegate writes them: 1.0 for 1, -0.0.

    Canonical JSON does not tell them apart, and another reader may. What this version does not know of is
    left to the canonical comparison.
    """
    try:
        written = sanitized(parse_report(report, REPORT).summary())
    except (ConfigurationError, RecursionError):
        return set()
    return {name for name in written.keys() & said.keys() - {"files"} if _differs(written[name], said[name])}


def _differs(written: Any, said: Any) -> bool:
    if isinstance(written, dict) and isinstance(said, dict):
        return any(_differs(written[key], said[key]) for key in written.keys() & said.keys())
    if isinstance(written, list) and isinstance(said, list):
        return any(map(_differs, written, said))
    return isinstance(written, int | float) and repr(written) != repr(said)


def _fields(content: bytes) -> dict[str, bytes | object]:
    """Each field's canonical text: to Python true is 1. What has none is like nothing else."""

    def text(value: Any) -> bytes | object:
        try:
            return rfc8785.dumps(value)
        except (ValueError, RecursionError):
            return object()

    # A whole number beyond 2**53 has no canonical text unless it is read as RFC 8785 means it: as a double.
    return {name: text(value) for name, value in json.loads(content, parse_int=float).items()}
