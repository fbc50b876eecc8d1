"""Kills what LocalPods left behind when it could not do so itself, because it was killed.

A process of its own that waits on a pipe. LocalPods tells it each process group it starts (`+PGID`) and each
that ended (`-PGID`); the end of the pipe is the end of LocalPods, however it died. A run's token in every
process's environment finds those that left their group. PR_SET_PDEATHSIG would reach direct children only,
dies with the *thread* that started them, and exists on Linux alone.

Run by its path with the standard library and psutil only, so that it starts quickly.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import psutil

TOKEN = "LOCAL_PODS_RUN"
START = "LOCAL_PODS_START"  # of one start of a container
SWEEPS = 20  # a process may fork while it is being looked for


class Reaper:
    """LocalPods' end of the pipe."""

    def __init__(self, token: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal must not reach it
        )

    def started(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let it kill whatever is left, and wait for it."""
        with self._lock, contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def kill_group(group: int) -> None:
    """SIGKILL to all of a process group; none left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def processes_of(token: str, variable: str = TOKEN) -> list[psutil.Process]:
    """Living processes that have this token in the environment they were started with."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == token:
                found.append(process)
    return found


def kill_all(token: str, variable: str = TOKEN) -> None:
    """SIGKILL to every process that has the token, until none is left."""
    for _ in range(SWEEPS):
        left = processes_of(token, variable)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not left:
            return


def _main(token: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change, group = line[0], int(line[1:])
        groups.add(group) if change == "+" else groups.discard(group)
    for group in groups:
        kill_group(group)
    kill_all(token)


if __name__ == "__main__":
    _main(sys.argv[1])
