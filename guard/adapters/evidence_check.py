"""Whether an evidence folder is whole: every file that was changed, added or lost, by name.

Owns comparing the folder with its manifest, and verdict.json and the copies for people with both. Trusts
nothing in it: links are not followed, what is no plain file is not opened. Refuses to know what the evidence
says.

Checksums in the folder find accidents and careless hands. Who rewrites files, manifest and verdict.json
together is found only by a digest of the manifest that was kept elsewhere: `expected`.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from guard.adapters.evidence import REPORT, VERDICT, EvidenceFolder, sealed_digest
from guard.adapters.evidence_manifest import MANIFEST, Finding, Problem, finding, parse_entry, parse_manifest
from guard.core.evidence import RawFile
from guard.errors import ConfigurationError

_LARGEST = 64 * 2**20  # bytes of a manifest or a verdict; arbitrary, some hundred thousand files
_CHUNK = 2**20
_LEFT_OUT = frozenset(("requests", "traffic"))  # of report.json in verdict.json
_ROW = {"path", "sha256", "bytes"}


@dataclass(frozen=True)
class Verification:
    """What was found. `digest` is `sha256:` of manifest.json as it is; `files` are those that it lists."""

    digest: str | None
    files: tuple[RawFile, ...]
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        return not self.findings


def verify(folder: EvidenceFolder, expected: str | None = None, copies: Sequence[str] = ()) -> Verification:
    """Compare every file with its checksum.

    Args:
        expected: `sha256:...` of the manifest, kept outside the folder.
        copies: Names of what was rendered beside the evidence, and must be there; verdict.json is checked
            with them. Empty: the evidence alone, and what verdict.json, where it is, says of the manifest.
    Raises:
        ConfigurationError: The manifest is the sealed one, and of a format that this version does not read.
    """
    shown = folder.shown(MANIFEST)
    content, findings = _content(folder.evidence / MANIFEST, shown)
    digest: str | None = None
    files: tuple[RawFile, ...] = ()
    if content is not None:
        sha256 = hashlib.sha256(content).hexdigest()
        digest = f"sha256:{sha256}"
        findings += _digest_findings(folder, digest, expected)
        try:
            files, faults = parse_manifest(content, shown)
            findings += faults
        except ConfigurationError as error:
            if not findings:
                raise
            findings.append(finding(shown, Problem.DAMAGED, error))
    if not any(found.path == shown and found.problem is not Problem.CHANGED for found in findings):
        findings += _file_findings(folder, files)
    if copies and folder.beside is not None:
        damaged = {found.path for found in findings}
        manifest = () if content is None else (RawFile(MANIFEST, sha256, len(content)),)
        findings += _copy_findings(folder, copies, (*files, *manifest), damaged)
    return Verification(digest, files, tuple(sorted(findings, key=lambda found: found.path)))


def _digest_findings(folder: EvidenceFolder, digest: str, expected: str | None) -> Iterator[Finding]:
    """A manifest that is the expected one proves verdict.json wrong; else either may have been changed."""
    shown, sealed = folder.shown(MANIFEST), sealed_digest(folder)
    if expected is not None and expected != digest:
        yield finding(shown, Problem.CHANGED, f"its digest is {digest}; expected was {expected}")
    if sealed is not None and sealed != digest:
        accused = VERDICT if expected == digest else shown
        reason = f"the digest of {shown} is {digest}; {VERDICT} says {sealed}"
        yield finding(accused, Problem.CHANGED, reason)


def _file_findings(folder: EvidenceFolder, files: Iterable[RawFile]) -> Iterator[Finding]:
    there: set[str] = set()
    for found in _walk(folder.evidence):
        if isinstance(found, str):
            there.add(found)
        else:
            yield finding(folder.shown(found[0]), *found[1:])
    listed = {file.path: file for file in files}
    for path in sorted(there - listed.keys() - {MANIFEST}):
        yield finding(folder.shown(path), Problem.ADDED, "not in the manifest")
    for path, file in listed.items():
        if path in there:
            yield from _check_file(folder.evidence / path, folder.shown(path), file)
        elif not os.path.islink(folder.evidence / path):  # a link is named as one
            yield finding(folder.shown(path), Problem.MISSING, "in the manifest, and not there")


def _walk(evidence: Path) -> Iterator[str | tuple[str, Problem, str]]:
    """Every plain file by its path in the folder; of all that is neither that nor a folder, what is wrong."""
    unreadable: list[OSError] = []
    for folder, folders, names in os.walk(evidence, onerror=unreadable.append):
        for name in (*folders, *names):
            path = Path(folder, name)
            relative = path.relative_to(evidence).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield relative
            elif not stat.S_ISDIR(mode):
                what = "a link" if stat.S_ISLNK(mode) else "no plain file"
                yield relative, Problem.REFUSED, f"{what}: not followed, not read"
    for error in unreadable:
        yield os.path.relpath(error.filename, evidence), Problem.UNREADABLE, str(error.strerror)


def _check_file(path: Path, shown: str, file: RawFile, by: str = "") -> Iterator[Finding]:
    """Its size and checksum; and whether it is what its name says."""
    try:
        size, sha256 = path.stat().st_size, _sha256(path)
    except OSError as error:
        yield finding(shown, Problem.UNREADABLE, error.strerror)
        return
    if (size, sha256) != (file.bytes, file.sha256):
        reason = f"{size} bytes, sha256 {sha256[:12]}…; sealed{by} as {file.bytes} bytes, {file.sha256[:12]}…"
        yield finding(shown, Problem.CHANGED, reason)
    elif broken := _FORMS.get(path.suffix, _any)(path):
        yield finding(shown, Problem.DAMAGED, broken)


def _copy_findings(
    folder: EvidenceFolder, copies: Sequence[str], files: Sequence[RawFile], damaged: Collection[str]
) -> Iterator[Finding]:
    """verdict.json and what was rendered with it, against the sealed `files` that are not `damaged`."""
    assert folder.beside is not None
    content, findings = _content(folder.beside / VERDICT, VERDICT)
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
    reasons = [*_other_rows(listed, copies), *_other_checksums(rows, files)]
    if folder.shown(REPORT) not in damaged:
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
        yield from _check_file(path, path.name, entry, f" by {VERDICT}")


def _other_checksums(rows: Mapping[str, RawFile], files: Sequence[RawFile]) -> Iterator[str]:
    """Files of which verdict.json says something else than the manifest, which is the last of `files`."""
    sealed = {f"evidence/{file.path}": (file.sha256, file.bytes) for file in files}
    said = {path: (row.sha256, row.bytes) for path, row in rows.items() if path.startswith("evidence/")}
    manifest = f"evidence/{MANIFEST}"
    if manifest in sealed and manifest in said and sealed[manifest][0] != said[manifest][0]:
        del sealed[manifest], said[manifest]  # named already
    other = sorted({path for path, _ in sealed.items() ^ said.items()})
    if other and len(files) > 1:
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
        shared = _fields(report.read_bytes())
    except (OSError, ValueError, AttributeError, RecursionError):
        return  # a folder without it was sealed so
    said = _fields(verdict)
    names = {*shared, *said} - {"files"}
    other = sorted(
        name for name in names if said.get(name) != (None if name in _LEFT_OUT else shared.get(name))
    )
    if other:
        yield f"other than in evidence/{REPORT}: {', '.join(other[:5])}"


def _fields(content: bytes) -> dict[str, bytes | object]:
    """Each field's canonical text: to Python true is 1. What has none is like nothing else."""

    def text(value: Any) -> bytes | object:
        try:
            return rfc8785.dumps(value)
        except (ValueError, RecursionError):
            return object()

    # A whole number beyond 2**53 has no canonical text unless it is read as RFC 8785 means it: as a double.
    return {name: text(value) for name, value in json.loads(content, parse_int=float).items()}


def _content(path: Path, shown: str) -> tuple[bytes | None, list[Finding]]:
    """A small file's bytes, or why it cannot be read."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return None, [finding(shown, Problem.REFUSED, "a link or no plain file: not read")]
        if found.st_size > _LARGEST:
            return None, [finding(shown, Problem.REFUSED, f"{found.st_size} bytes are too many")]
        return path.read_bytes(), []
    except FileNotFoundError:
        return None, [finding(shown, Problem.MISSING, "not there")]
    except OSError as error:
        return None, [finding(shown, Problem.UNREADABLE, error.strerror)]


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _broken_json(path: Path) -> str | None:
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return None


def _broken_parquet(path: Path) -> str | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return f"no Parquet: {error}"
    return None


def _any(path: Path) -> str | None:
    return None


_FORMS: dict[str, Callable[[Path], str | None]] = {".json": _broken_json, ".parquet": _broken_parquet}
