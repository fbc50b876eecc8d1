"""The audit record: append-only JSON Lines, each line chained to the one before by its hash, each synced.

Owns the file. When a line cannot be written the gateway may do nothing, so `append` raises and leaves no half
a line behind. It also raises when its path no longer leads to the file that it has written, or that was cut
or grown: a record that nobody finds is none.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack.policy.calls import canonical, sha256

Record = dict[str, Any]
_BEGINNING = "0" * 64


class AuditError(Exception):
    """The record cannot be written, or is not what was written."""


class AuditLog:
    """One file, one writer. All records are kept in memory, too: the file of a small gateway is small."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens the file and reads what is there.

        Raises:
            AuditError: It cannot be opened, or its chain is broken; names the line.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._file = file.absolute()
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.records = _read(file)
            self._size = os.fstat(self._descriptor).st_size
            _sync_folder(self._file.parent)
        except OSError as error:
            raise AuditError(f"{file}: {error.strerror or error}") from error

    def append(self, **fields: Any) -> Record:
        """One record, on the disk when this returns.

        Raises:
            AuditError: It is not there. Whatever it is about must not happen.
        """
        with self._lock:
            record = {"seq": len(self.records) + 1, "at": f"{self._clock():.6f}"} | fields
            record["previous"] = self.records[-1]["hash"] if self.records else _BEGINNING
            record["hash"] = sha256(canonical(record))
            self._write(canonical(record) + b"\n")
            self.records.append(record)
            return record

    def check(self) -> None:
        """Raises AuditError when the file is no longer the one that was written."""
        try:
            status, named = os.fstat(self._descriptor), os.stat(self._file)
        except FileNotFoundError as error:
            raise AuditError("the audit record was removed or moved") from error
        except OSError as error:
            raise AuditError(f"the audit record: {error.strerror or error}") from error
        if not os.path.samestat(status, named):
            raise AuditError("another file is in the audit record's place")
        if not os.access(self._file, os.W_OK):
            raise AuditError("the audit record is not to be written any more")
        if status.st_size != self._size:
            raise AuditError(f"the audit record has {status.st_size} bytes, {self._size} were written")

    def _write(self, line: bytes) -> None:
        self.check()
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(f"{written} of {len(line)} bytes written")
            os.fsync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise AuditError(f"the audit record: {error.strerror or error}") from error
        self._size += len(line)
        try:
            self.check()  # once more: it may have been moved while it was written
        except AuditError:
            self._size -= len(line)
            self._take_back()
            raise

    def _take_back(self) -> None:
        """Remove our own half line; where even that fails the size is wrong, and stays refused."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._size)


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> list[Record]:
    records: list[Record] = []
    previous = _BEGINNING
    lines = file.read_bytes().split(b"\n")
    if lines.pop():
        raise AuditError(f"{file}:{len(lines) + 1}: the last line is cut: move the file aside to begin anew")
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is None or record.get("previous") != previous or record.get("seq") != number:
            raise AuditError(f"{file}:{number}: the chain is broken here: the record was changed")
        records.append(record)
        previous = record["hash"]
    return records


def _record(line: bytes) -> Record | None:
    """The record of a line whose hash is right, else None."""
    try:
        record = json.loads(line)
        unsigned = {key: value for key, value in record.items() if key != "hash"}
        right = canonical(record) == line and sha256(canonical(unsigned)) == record["hash"]
    except (ValueError, AttributeError, KeyError, RecursionError):
        return None
    return record if right else None
