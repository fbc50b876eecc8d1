"""Claims about the file in which a rollback waits for an API that takes it."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.adapters.artifacts import OutputFolder
from guard.core.change import Phase
from guard.core.verdict import Verdict
from guard.daemon.kept_rollback import FILE, KeptRollbacks
from guard.daemon.progress import Progress
from guard.daemon.recorded_decision import Decision
from guard.errors import ConfigurationError

NOW = 1_800_000_000.0
DECISION = Decision("RollBack", "ObjectiveFailed", "5 of 9 bad", NOW, "errors", NOW - 1.0, NOW - 2.0)


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    return OutputFolder(tmp_path)


def rolling_back() -> Progress:
    progress = Progress(opened_at=NOW, decision=DECISION, verdict=Verdict.FAIL)
    progress.enter(Phase.ROLLING_BACK, NOW, DECISION.reason, DECISION.message)
    return progress


def in_phase(phase: Phase, **known: float) -> Progress:
    return Progress(opened_at=NOW, phase=phase, **known)  # type: ignore[arg-type]


def never() -> bool:
    return False


def recalled(folder: OutputFolder | None, progress: Progress, promoted: Callable[[], bool] = never) -> bool:
    """By a guard process that knows nothing but the volume."""
    return KeptRollbacks().recall("u", folder, progress, NOW + 60.0, promoted)


@pytest.mark.parametrize("phase", [Phase.TESTING, Phase.PROGRESSING, Phase.PROMOTING])
def test_a_kept_rollback_is_whole_for_the_next_process(folder: OutputFolder, phase: Phase) -> None:
    KeptRollbacks().keep("u", folder, rolling_back())
    progress = in_phase(phase)
    assert recalled(folder, progress)
    found = (progress.phase, progress.decision, progress.verdict, progress.message)
    assert found == (Phase.ROLLING_BACK, DECISION, Verdict.FAIL, "5 of 9 bad")


@pytest.mark.parametrize(
    "progress",
    [
        in_phase(Phase.PENDING),
        in_phase(Phase.ROLLING_BACK),
        in_phase(Phase.FINISHED),
        in_phase(Phase.PROMOTING, patched_at=NOW),
    ],
    ids=["not begun", "told already", "ended", "promoted in all but name"],
)
def test_it_is_removed_where_there_is_nothing_left_to_take_back(
    folder: OutputFolder, progress: Progress
) -> None:
    KeptRollbacks().keep("u", folder, rolling_back())
    phase = progress.phase
    assert not recalled(folder, progress)
    assert progress.phase is phase
    assert os.listdir(folder.path) == []


def test_a_route_that_was_promoted_meanwhile_is_not_turned_around(folder: OutputFolder) -> None:
    KeptRollbacks().keep("u", folder, rolling_back())
    assert not recalled(folder, in_phase(Phase.PROMOTING), lambda: True)


def test_a_route_that_cannot_be_read_does_not_keep_a_rollback_from_being_tried(folder: OutputFolder) -> None:
    def unreadable() -> bool:
        raise ConfigurationError("no rule has the backendRefs")

    KeptRollbacks().keep("u", folder, rolling_back())
    assert recalled(folder, in_phase(Phase.PROMOTING), unreadable)


def test_it_is_removed_when_the_status_has_it(folder: OutputFolder) -> None:
    kept = KeptRollbacks()
    kept.keep("u", folder, rolling_back())
    kept.drop("u", folder)
    assert os.listdir(folder.path) == []
    assert not kept.recall("u", folder, in_phase(Phase.TESTING), NOW, never)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"uid": "u", "sta',
        b"[]",
        b'{"uid": "u", "status": {"phase": "RollingBack"}}',
        b'{"uid": "u", "status": []}',
        b'{"uid": "u", "status": {"phase": null}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=["empty", "half", "a list", "short of fields", "a list inside", "no phase", "no text", "deep"],
)
def test_a_damaged_file_is_logged_and_counts_for_nothing(
    folder: OutputFolder, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (folder.path / FILE).write_bytes(content)
    progress = in_phase(Phase.PROGRESSING)
    with caplog.at_level(logging.WARNING):
        assert not recalled(folder, progress)
    assert progress.phase is Phase.PROGRESSING
    assert "counts for nothing" in caplog.text


def test_another_changes_file_counts_for_nothing(folder: OutputFolder) -> None:
    KeptRollbacks().keep("u-of-another", folder, rolling_back())
    assert not recalled(folder, in_phase(Phase.PROGRESSING))


def test_nothing_is_kept_of_a_change_that_is_not_rolling_back(folder: OutputFolder) -> None:
    kept = KeptRollbacks()
    kept.keep("u", folder, in_phase(Phase.PROGRESSING))
    assert os.listdir(folder.path) == []
    assert not kept.recall("u", folder, in_phase(Phase.PROGRESSING), NOW, never)


@pytest.mark.parametrize("there", ["no folder", "a folder that takes nothing"])
def test_this_process_still_knows_what_the_volume_did_not_take(tmp_path: Path, there: str) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    folder = None if there == "no folder" else OutputFolder(file)
    kept = KeptRollbacks()
    kept.keep("u", folder, rolling_back())
    assert kept.recall("u", folder, in_phase(Phase.PROGRESSING), NOW, never)
    kept.drop("u", folder)


def test_secrets_do_not_reach_the_volume(tmp_path: Path) -> None:
    progress = rolling_back()
    progress.message = "the runtime said Bearer abcdefgh"
    KeptRollbacks().keep("u", OutputFolder(tmp_path, ["abcdefgh"]), progress)
    assert b"abcdefgh" not in (tmp_path / FILE).read_bytes()
