"""A rollback that was decided while the API took no status: kept until it does, also past the guard's death.

Owns intent.json on the guard's own volume. It stands beside the Change's folder `evidence`, not in it: what
is sealed must stay, and this goes once the status has it. Where the volume takes nothing, this process still
knows. Refuses to decide: what is recalled was decided already. A damaged file is logged, and is none.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.adapters.artifacts import OutputFolder
from guard.core.change import Phase
from guard.core.verdict import Verdict
from guard.daemon.progress import Progress
from guard.daemon.recorded_decision import Decision
from guard.errors import ConfigurationError

FILE = "intent.json"

log = logging.getLogger("tidegate.guard")


@dataclass(frozen=True)
class _Kept:
    decision: Decision
    verdict: Verdict | None


class KeptRollbacks:
    """All Changes' of one guard process, by uid; `folder` is None for a Change without one."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._written: set[str] = set()

    def keep(self, uid: str, folder: OutputFolder | None, progress: Progress) -> None:
        """Its status could not be written; nothing is kept of a Change that is not rolling back."""
        if progress.phase is not Phase.ROLLING_BACK or progress.decision is None:
            return
        self._kept[uid] = _Kept(progress.decision, progress.verdict)
        if folder is None or uid in self._written:
            return
        try:
            _write(folder.path / FILE, folder.hide({"uid": uid, "status": progress.to_status(0)}))
            self._written.add(uid)
        except OSError as error:
            log.warning("%s: could not be written: %s", folder.path / FILE, error)

    def recall(
        self,
        uid: str,
        folder: OutputFolder | None,
        progress: Progress,
        now: float,
        promoted: Callable[[], bool],
    ) -> bool:
        """Whether a Change that is taken up was rolling back already: then `progress` says so again.

        Args:
            now: Unix seconds.
            promoted: Whether its route says now that it was promoted, which cannot be turned around.
        """
        kept = self._kept.get(uid) or (_read(folder.path / FILE, uid, now) if folder else None)
        if kept is None:
            return False
        self._kept[uid] = kept
        if not _under_way(progress, promoted):
            self.drop(uid, folder)
            return False
        progress.decision, progress.verdict = kept.decision, kept.verdict
        progress.enter(Phase.ROLLING_BACK, now, kept.decision.reason, kept.decision.message)
        return True

    def drop(self, uid: str, folder: OutputFolder | None) -> None:
        """The status has it."""
        if self._kept.pop(uid, None) is None:
            return
        self._written.discard(uid)
        try:
            if folder is not None:
                (folder.path / FILE).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: could not be removed: %s", folder and folder.path / FILE, error)


def _under_way(progress: Progress, promoted: Callable[[], bool]) -> bool:
    """By its status users may be on its canary, and nobody has begun to take them back."""
    if progress.phase is not Phase.PROMOTING:
        return progress.phase in (Phase.TESTING, Phase.PROGRESSING)
    try:
        return progress.patched_at is None and not promoted()
    except ConfigurationError:
        return True  # a route that nobody can read: the rollback says so, and tries again


def _read(file: Path, uid: str, now: float) -> _Kept | None:
    try:
        document = json.loads(file.read_bytes())
        found = Progress.from_status(document["status"], now)
        if document["uid"] != uid or found.phase is not Phase.ROLLING_BACK or found.decision is None:
            raise ValueError("not a rollback of this Change")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s: cannot be read, and counts for nothing: %s", file, error)
        return None
    return _Kept(found.decision, found.verdict)


def _write(file: Path, document: Any) -> None:
    """On the disk when it returns: the machine may go the same way as the API."""
    beside = file.with_name(f".{file.name}.part")
    with beside.open("wb") as opened:
        opened.write(json.dumps(document).encode())
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too
    finally:
        os.close(folder)
