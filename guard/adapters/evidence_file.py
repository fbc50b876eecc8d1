"""One file of an evidence folder, read without trust: a plain file, whole, and what its name says.

Owns how a file is opened (never through a link, never waiting for a pipe), its checksum, and the forms.
Refuses to know which files there should be.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from guard.adapters.evidence_manifest import Finding, Problem, finding
from guard.core.evidence import RawFile

_LARGEST = 64 * 2**20  # bytes of a manifest or a verdict; arbitrary, some hundred thousand files
_CHUNK = 2**20
_NOT_PLAIN = "a link or no plain file: not read"


class NotPlainError(OSError):
    """A link, a pipe, a device, a folder: whatever it holds is not what was sealed."""


def read_file(path: Path, shown: str) -> tuple[bytes | None, list[Finding]]:
    """A small file's bytes, or why it cannot be read."""
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST:
                return None, [finding(shown, Problem.REFUSED, f"{size} bytes are too many")]
            return file.read(), []
    except FileNotFoundError:
        return None, [finding(shown, Problem.MISSING, "not there")]
    except NotPlainError:
        return None, [finding(shown, Problem.REFUSED, _NOT_PLAIN)]
    except OSError as error:
        return None, [finding(shown, Problem.UNREADABLE, error.strerror)]


def check_file(path: Path, shown: str, file: RawFile, by: str = "") -> Iterator[Finding]:
    """Its size and checksum; and whether it is what its name says."""
    try:
        size, sha256 = _measured(path)
    except NotPlainError:
        yield finding(shown, Problem.REFUSED, _NOT_PLAIN)
        return
    except OSError as error:
        yield finding(shown, Problem.UNREADABLE, error.strerror)
        return
    if (size, sha256) != (file.bytes, file.sha256):
        reason = f"{size} bytes, sha256 {sha256[:12]}…; sealed{by} as {file.bytes} bytes, {file.sha256[:12]}…"
        yield finding(shown, Problem.CHANGED, reason)
    elif broken := _FORMS.get(path.suffix, _any)(path):
        yield finding(shown, Problem.DAMAGED, broken)


def strict_json(content: bytes) -> Any:
    """JSON that every reader reads alike.

    Raises:
        ValueError: No JSON, a key twice in an object, or a number that JSON lacks.
        RecursionError: Too deep.
    """

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(found)
        if len(document) < len(found):
            raise ValueError("a key stands twice in an object")
        return document

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    return json.loads(content, object_pairs_hook=pairs, parse_constant=constant)


def _opened(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise NotPlainError(_NOT_PLAIN) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlainError(_NOT_PLAIN)
    return os.fdopen(descriptor, "rb")


def _measured(path: Path) -> tuple[int, str]:
    """Bytes that were read, and their checksum."""
    found, size = hashlib.sha256(), 0
    with _opened(path) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
    return size, found.hexdigest()


def _broken_json(path: Path) -> str | None:
    try:
        strict_json(path.read_bytes())
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
