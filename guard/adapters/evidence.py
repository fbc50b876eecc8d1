"""An evidence folder that someone else kept: where it is, and the report that is in it.

Owns finding the folder, and reading report.json and verdict.json into types, with refusals by name. Needs no
cluster, no clock, and nothing outside the folder. Refuses to know whether the files are whole:
`evidence_check` does, and is to be asked first.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.adapters.artifacts import OutputFolder
from guard.adapters.evidence_file import read_file
from guard.adapters.evidence_manifest import MANIFEST, parse_manifest
from guard.core.evidence import FORMAT, RawFile, Report
from guard.core.text import one_line
from guard.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERDICT, REPORT = "verdict.json", "report.json"
_MOST_FAULTS = 3


@dataclass(frozen=True)
class EvidenceFolder:
    """The folder `evidence`, and the one in which verdict.json stands; None where only the evidence is."""

    evidence: Path
    beside: Path | None

    def shown(self, path: str) -> str:
        """A file of the evidence as a person who named the folder knows it."""
        return f"evidence/{path}" if self.beside is not None else path


def open_evidence(path: Path) -> EvidenceFolder:
    """The folder that a gate or a guard wrote, or its folder `evidence` alone.

    Raises:
        ConfigurationError: There is no such folder, it cannot be read, or it holds no evidence.
    """
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if "evidence" not in names:
        if MANIFEST in names:
            return EvidenceFolder(path, None)
        raise ConfigurationError(f"{path}: no evidence folder: neither evidence/ nor {MANIFEST} is in it")
    found = EvidenceFolder(path / "evidence", path)
    if found.evidence.is_symlink() or not found.evidence.is_dir():
        raise ConfigurationError(f"{found.evidence}: a link or no folder: refused")
    if not os.path.lexists(found.evidence / MANIFEST) and sealed_digest(found) is None:
        raise ConfigurationError(
            f"{path}: no evidence folder: evidence/{MANIFEST} is not there, nor does {VERDICT} know of one "
            "(a run has none before it ends)"
        )
    return found


def sealed_digest(folder: EvidenceFolder) -> str | None:
    """The manifest's digest as verdict.json has it; None where that is not there or does not say."""
    if folder.beside is None:
        return None
    content, _ = read_file(folder.beside / VERDICT, VERDICT)
    try:
        rows = json.loads(content or b"")["files"]
        return next(f"sha256:{row['sha256']}" for row in rows if row["path"] == f"evidence/{MANIFEST}")
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return None


def read_report(folder: EvidenceFolder) -> Report:
    """The report as it was judged, with the checksums of its evidence.

    Raises:
        ConfigurationError: report.json is not there, of another format, or does not say what it must.
    """
    shown = folder.shown(REPORT)
    try:
        report = parse_report((folder.evidence / REPORT).read_bytes(), shown)
        content = (folder.evidence / MANIFEST).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    files, _ = parse_manifest(content, folder.shown(MANIFEST))
    manifest = RawFile(MANIFEST, hashlib.sha256(content).hexdigest(), len(content))
    return replace(
        report, files=tuple(replace(file, path=f"evidence/{file.path}") for file in (*files, manifest))
    )


def seal_report(folder: OutputFolder, report: Report) -> Report:
    """Write the report, seal the folder, and give back what a reader of it will find in years.

    What is shown at once and what is shown later are made of the same bytes: redacted, numbers as JSON has
    them, and with the checksums of everything.
    """
    folder.write_evidence(REPORT, report.to_json())
    folder.seal()
    return read_report(EvidenceFolder(folder.evidence, folder.path))


def parse_report(content: bytes, where: str) -> Report:
    """report.json or verdict.json as a Report; what a later version added to v1 is left out.

    Raises:
        ConfigurationError: No JSON, another format, or a field that is missing or of another type, by name.
    """
    from pydantic import ValidationError

    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: no JSON: {one_line(str(error))}") from error
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        raise ConfigurationError(
            f"{where}: format {one_line(str(version), 80)!r} is not known to this version of Tidegate, which "
            f"reads {FORMAT!r}: use the version that wrote it, or a newer one"
        )
    try:
        return _reader().validate_python(document)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_faults(error.errors(include_url=False))}") from error


@cache
def _reader() -> "TypeAdapter[Report]":
    from pydantic import TypeAdapter

    return TypeAdapter(Report)


def _faults(errors: Iterable[Any]) -> str:
    """The first few, in one line."""
    found = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors]
    more = f" (and {len(found) - _MOST_FAULTS} more)" if len(found) > _MOST_FAULTS else ""
    return one_line("; ".join(found[:_MOST_FAULTS])) + more
