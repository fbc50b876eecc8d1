"""The audit record: chained, whole, and no action without it."""

import os
from pathlib import Path

import pytest

from stack.policy.audit import AuditError, AuditLog


@pytest.fixture
def file(tmp_path):
    return tmp_path / "audit.jsonl"


def _written(file, count=3):
    log = AuditLog(file, lambda: 1000.0)
    for number in range(count):
        log.append(kind="deny", number=number, text="\n\u2028\ud800</script>")
    return log


def test_records_survive_a_restart_and_go_on(file):
    _written(file)
    again = AuditLog(file)
    again.append(kind="allow")
    assert [record["seq"] for record in AuditLog(file).records] == [1, 2, 3, 4]


def test_hostile_text_stays_in_one_line_of_ascii(file):
    _written(file)
    data = file.read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 3


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [lines[0].replace(b"deny", b"damn"), *lines[1:]], 1),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [*lines[:2], b"{}\n"], 3),
        (lambda lines: [*lines[:2], lines[2][:-5]], 3),
    ],
    ids=["changed", "removed", "swapped", "doubled", "foreign", "cut"],
)
def test_changed_record_is_named_and_nothing_starts(file, damage, line):
    _written(file)
    file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(AuditError, match=f"audit.jsonl:{line}: "):
        AuditLog(file)


def _moved(file):
    return file.rename(file.with_name("audit.jsonl.1"))


def _replaced(file):
    whole = file.read_bytes()
    moved = _moved(file)
    file.write_bytes(whole)
    return moved


def _linked(file):
    moved = _replaced(file)
    copy = file.rename(file.with_name("copy"))
    file.symlink_to(copy)
    return moved


def _folder_moved(file):
    folder = file.parent.rename(file.parent.with_name("elsewhere"))
    return folder / file.name


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: _grow(file),
        _moved,
        _replaced,
        _linked,
        _folder_moved,
    ],
    ids=["removed", "emptied", "grown", "moved", "replaced by a copy", "a link to a copy", "folder moved"],
)
def test_record_that_somebody_else_touches_is_not_written_to(tmp_path, damage):
    file = tmp_path / "log/audit.jsonl"
    file.parent.mkdir()
    log = _written(file)
    moved = damage(file)
    before = moved.read_bytes() if isinstance(moved, Path) else None
    for ask in (log.check, lambda: log.append(kind="allow")):
        with pytest.raises(AuditError):
            ask()
    assert len(log.records) == 3
    assert before is None or moved.read_bytes() == before


def test_record_that_is_moved_while_it_is_written_is_no_record(file, monkeypatch):
    log, real = _written(file), os.fsync
    before = file.read_bytes()

    def moves(descriptor):
        real(descriptor)
        file.rename(file.with_name("aside"))

    monkeypatch.setattr(os, "fsync", moves)
    with pytest.raises(AuditError, match="moved"):
        log.append(kind="allow")
    assert len(log.records) == 3
    assert file.with_name("aside").read_bytes() == before
    monkeypatch.undo()
    file.with_name("aside").rename(file)
    assert log.append(kind="allow")["seq"] == 4


def test_record_that_may_not_be_written_any_more_is_not_written_to(file, monkeypatch):
    log = _written(file)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # to root everything may be written
    with pytest.raises(AuditError, match="not to be written"):
        log.append(kind="allow")
    assert len(AuditLog(file).records) == 3


def _grow(file):
    with file.open("ab") as more:
        more.write(b"{}\n")


def test_full_disk_leaves_no_half_line_and_writing_goes_on_afterwards(file, monkeypatch):
    log = _written(file)
    before, real = file.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
    with pytest.raises(AuditError, match="10 of"):
        log.append(kind="allow")
    assert file.read_bytes() == before
    monkeypatch.undo()
    log.append(kind="allow")
    assert len(AuditLog(file).records) == 4


def test_record_that_does_not_reach_the_disk_is_no_record(file, monkeypatch):
    log = _written(file)

    def fails(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(AuditError, match="Input/output error"):
        log.append(kind="allow")
    monkeypatch.undo()
    assert len(AuditLog(file).records) == 3
