"""Whether an evidence folder is whole: every file that was changed, added or lost, by name.

Owns comparing the folder with its manifest; `evidence_copies` compares verdict.json and what was rendered
beside it. Trusts nothing in it: links are not followed, what is no plain file is not read. Refuses to know
what the evidence says.

Checksums in the folder find accidents and careless hands. Who rewrites files, manifest and verdict.json
together is found only by a digest of the manifest that was kept elsewhere: `expected`.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from guard.adapters.evidence import VERDICT, EvidenceFolder, sealed_digest
from guard.adapters.evidence_copies import copy_findings
from guard.adapters.evidence_file import check_file, read_file
from guard.adapters.evidence_manifest import MANIFEST, Finding, Problem, finding, parse_manifest
from guard.core.evidence import RawFile
from guard.errors import ConfigurationError


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
    content, findings = read_file(folder.evidence / MANIFEST, shown)
    is_read = False
    digest: str | None = None
    files: tuple[RawFile, ...] = ()
    if content is not None:
        sha256 = hashlib.sha256(content).hexdigest()
        digest = f"sha256:{sha256}"
        findings += _digest_findings(folder, digest, expected)
        try:
            files, faults = parse_manifest(content, shown)
            findings += faults
            is_read = all(fault.path != shown for fault in faults)
        except ConfigurationError as error:
            if not findings:
                raise
            findings.append(finding(shown, Problem.DAMAGED, error))
    if not any(found.path == shown and found.problem is not Problem.CHANGED for found in findings):
        findings += _file_findings(folder, files)
    if copies and folder.beside is not None:
        damaged = {found.path for found in findings}
        manifest = None if content is None else RawFile(MANIFEST, sha256, len(content))
        findings += copy_findings(folder, copies, files if is_read else None, manifest, damaged)
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
            yield from check_file(folder.evidence / path, folder.shown(path), file)
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
