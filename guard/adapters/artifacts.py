"""The output folder of one run: evidence, its manifest, and the files that people and pipelines read.

Owns atomic writing, canonical JSON (RFC 8785), redaction and checksums. Knows no verdict. A stale result
must never be read as this run's: `prepare` removes what an earlier run left, and nothing that is not ours.

Secrets are given by value only to be removed: JSON is redacted where it is written, what the suites wrote
is redacted before it is sealed (an endpoint can echo the key into an answer, so also inside Parquet).
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import rfc8785

from guard.core.evidence import FORMAT, RawFile
from guard.core.text import is_secret, sanitized
from guard.errors import ConfigurationError

MANIFEST_FORMAT = "tidegate.dev/evidence/v1"
_MANIFEST = "manifest.json"
_REDACTED = "[redacted]"


def canonical(document: Any, secrets: Iterable[str] = ()) -> bytes:
    """RFC 8785: the same bytes for the same document in every language. Secrets are replaced."""
    return rfc8785.dumps(sanitized(document, secrets))


class OutputFolder:
    """One run's folder, DIR; `evidence` is DIR/evidence."""

    def __init__(self, out: Path, secrets: Iterable[str] = ()) -> None:
        self.path = out
        self.evidence = out / "evidence"
        self._secrets = tuple(secret for secret in secrets if is_secret(secret))

    @classmethod
    def prepare(cls, out: Path, outputs: Iterable[str], secrets: Iterable[str] = ()) -> "OutputFolder":
        """Make the folder ready: empty of an earlier run's `outputs` and evidence.

        Raises:
            ConfigurationError: It cannot be written, or holds an `evidence` that no run of ours made.
        """
        folder = cls(out, secrets)
        try:
            out.mkdir(parents=True, exist_ok=True)
            if folder.evidence.exists():
                folder._refuse_strange_evidence()
                shutil.rmtree(folder.evidence)
            for name in outputs:
                (out / name).unlink(missing_ok=True)
            folder.evidence.mkdir()
        except OSError as error:
            raise ConfigurationError(f"--out {out}: {error.strerror or error}") from error
        return folder

    def _refuse_strange_evidence(self) -> None:
        try:
            known = json.loads((self.path / "verdict.json").read_bytes()).get("format") == FORMAT
        except (OSError, ValueError, AttributeError):
            known = False
        if not known and any(self.evidence.iterdir()):
            raise ConfigurationError(
                f"--out {self.path}: holds a folder `evidence` that is not Tidegate's: choose another folder"
            )

    def hide(self, value: Any) -> Any:
        """A JSON value without secrets, and such that every reader can take it."""
        return sanitized(value, self._secrets)

    def write(self, name: str, content: bytes) -> Path:
        """DIR/name, whole or not at all."""
        return replace_file(self.path / name, content)

    def write_evidence(self, name: str, document: Any) -> Path:
        """DIR/evidence/name as canonical JSON, without secrets."""
        return replace_file(self.evidence / name, canonical(document, self._secrets))

    def copy_evidence(self, source: Path, name: str) -> Path:
        """A copy of a file that the run was told to use.

        Raises:
            ConfigurationError: It cannot be read.
        """
        try:
            return replace_file(self.evidence / name, source.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"{source}: {error.strerror or error}") from error

    def seal(self) -> tuple[RawFile, ...]:
        """Redact every file and write manifest.json; all of them with checksums, the manifest last.

        Whoever died after sealing is followed by one who seals again: the manifest never lists itself.
        """
        own = {self.evidence / _MANIFEST, _beside(self.evidence / _MANIFEST)}
        there = (path for path in sorted(self.evidence.rglob("*")) if path not in own)
        files = [path for path in there if path.is_file() and not path.is_symlink()]
        for path in files:
            _redact(path, self._secrets)
        entries = tuple(self._entry(path) for path in files)
        rows = [
            {"path": Path(e.path).relative_to("evidence").as_posix(), "sha256": e.sha256, "bytes": e.bytes}
            for e in entries
        ]
        manifest = self.write_evidence(_MANIFEST, {"format": MANIFEST_FORMAT, "files": rows})
        return (*entries, self._entry(manifest))

    def _entry(self, path: Path) -> RawFile:
        content = path.read_bytes()
        relative = path.relative_to(self.path).as_posix()
        return RawFile(relative, hashlib.sha256(content).hexdigest(), len(content))


def folders_of(parent: Path, name: str) -> list[Path]:
    """The evidence folders of one name, the oldest first: NAME, then NAME~2 where it was used again."""
    again = re.compile(re.escape(name) + r"~([0-9]{1,6})")
    folders = [path for path in parent.glob("*") if path.is_dir()]
    numbers = {path: int(match[1]) for path in folders if (match := again.fullmatch(path.name))}
    numbers |= {path: 1 for path in folders if path.name == name}
    return sorted(numbers, key=numbers.__getitem__)


def next_folder(parent: Path, name: str) -> Path:
    """The one after the newest that is there: what was archived elsewhere does not bring two together."""
    taken = folders_of(parent, name)
    if not taken:
        return parent / name
    _, _, number = taken[-1].name.removeprefix(name).partition("~")
    return parent / f"{name}~{int(number or 1) + 1}"


def check_replaceable(path: Path) -> None:
    """Refuses what a rename would destroy: as root, /dev/null would become a regular file.

    Raises:
        ConfigurationError: Something is there that is no regular file.
    """
    if (path.exists() or path.is_symlink()) and not path.is_file():
        raise ConfigurationError(f"{path}: is there and is no regular file; name a file of your own")


def replace_file(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; its folder is made.

    Raises:
        ConfigurationError: Something is there that is no regular file.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    beside.write_bytes(content)
    return beside.replace(path)


def _beside(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


def _redact(path: Path, secrets: tuple[str, ...]) -> None:
    if not secrets:
        return
    if path.suffix == ".parquet":
        _redact_parquet(path, secrets)
        return
    content = clean = path.read_bytes()
    for secret in secrets:
        for form in {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}:
            clean = clean.replace(form.encode(), _REDACTED.encode())
    if clean != content:
        replace_file(path, clean)


def _redact_parquet(path: Path, secrets: tuple[str, ...]) -> None:
    """Text columns only, and the metadata; the file is written anew only when a secret was found."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):  # half written: nothing can be told of it, so nothing is kept
        path.unlink()
        return
    clean = table.replace_schema_metadata(_clean_metadata(table.schema.metadata or {}, secrets))
    for index, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values = table.column(index)
            for secret in secrets:
                values = pc.replace_substring(values, secret, _REDACTED)
            clean = clean.set_column(index, column, values)
    if not clean.equals(table, check_metadata=True):
        pq.write_table(clean, path)


def _clean_metadata(metadata: Mapping[bytes, bytes], secrets: tuple[str, ...]) -> dict[bytes, bytes]:
    found = dict(metadata)
    for secret in secrets:
        found = {key: value.replace(secret.encode(), _REDACTED.encode()) for key, value in found.items()}
    return found
