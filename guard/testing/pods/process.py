"""One process of a container: started in its own process group, watched, ended as a kubelet does.

Knows no Kubernetes object; an exit is told in the words of a container's status.
"""

import contextlib
import signal
import subprocess
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from guard.testing.pods.reaper import START, Reaper, kill_all, kill_group

MEMORY_PERIOD_SECONDS = 0.25
OOM_EXIT_CODE = 137


@dataclass(frozen=True)
class Exit:
    """How a container ended.

    Attributes:
        code: As a shell has it: 128 + signal for a process that a signal ended.
        signal: 0 where it ended by itself.
        reason: `Completed`, `Error`, `OOMKilled`.
    """

    code: int
    signal: int
    reason: str


class Process:
    """A running command and everything in its process group.

    Raises (on creation):
        OSError: The program is not there or may not be run.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        directory: Path,
        log: Path,
        reaper: Reaper,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self._reaper = reaper
        self._memory_limit = memory_limit_bytes
        self._ended = threading.Event()
        self._start = uuid.uuid4().hex
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env={**env, START: self._start},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        reaper.started(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> Exit:
        """Block until the command ended; all that it started is then killed, as with a container's PID 1."""
        over_limit = self._wait_within_memory()
        code = self._process.wait()
        kill_group(self.pid)
        kill_all(self._start, START)  # those in a session of their own: a suite of a killed guard
        self._reaper.ended(self.pid)
        self._ended.set()
        if over_limit:
            return Exit(OOM_EXIT_CODE, signal.SIGKILL, "OOMKilled")
        if code < 0:
            return Exit(128 - code, -code, "Error")
        return Exit(code, 0, "Error" if code else "Completed")

    def end(self, grace_seconds: float) -> None:
        """SIGTERM to the command alone, as PID 1 of a container gets it; SIGKILL to all after the grace.

        Returns when `wait`, in its thread, has returned.
        """
        self._process.terminate()  # of the Popen object: it never signals a pid that was given to another
        if not self._ended.wait(grace_seconds):
            kill_group(self.pid)
            self._ended.wait()

    def _wait_within_memory(self) -> bool:
        """Wait for the end; True when the group was killed for its memory."""
        while self._memory_limit is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(MEMORY_PERIOD_SECONDS)
                return False
            if resident_bytes(self.pid) > self._memory_limit:
                kill_group(self.pid)
                return True
        return False


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; pages that they share count for each."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total
