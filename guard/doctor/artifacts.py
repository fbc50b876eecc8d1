"""The evidence folder: can it be written, and is there room?"""

import shutil
import tempfile
from pathlib import Path

from guard.doctor.finding import Finding, ok, problem, warning

ROOM_BYTES = 1 << 30  # arbitrary: some hundreds of Changes of a few MB


def examine_artifacts(folder: Path) -> Finding:
    """Writes and removes one temporary file; makes no folder that is not there."""
    remedy = "mount a volume there that the guard's user may write, or name another with --artifacts DIR"
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"tidegate doctor")
        free = shutil.disk_usage(place).free
    except OSError as error:
        return problem("artifacts", f"{place} cannot be written: {error.strerror or error}", remedy)
    if free < ROOM_BYTES:
        return warning(
            "artifacts", f"{folder} has {free / 1e6:.0f} MB left", "make room: evidence is kept for ever"
        )
    later = "" if place == folder else f" when it is made in {place}"
    return ok("artifacts", f"{folder} can be written{later}; {free / 1e9:.0f} GB left")
