"""Processes: how an end is told, and that none is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from guard.testing.pods.process import Exit, Process
from guard.testing.pods.reaper import TOKEN, Reaper, processes_of

pytestmark = pytest.mark.component

# Starts a child in a session of its own, which a signal to the group does not reach; names both.
LEAVES_A_CHILD = """
import os, subprocess, sys, time
sleeper = [sys.executable, '-S', '-c', 'import time; time.sleep(60)']
child = subprocess.Popen(sleeper, start_new_session=DETACHED)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    reaper = Reaper("test-token")
    yield reaper
    reaper.close()


def run(program: str, tmp_path: Path, reaper: Reaper, memory: int | None = None) -> Process:
    argv = [sys.executable, "-S", "-c", program]
    return Process(argv, {TOKEN: "test-token"}, tmp_path, tmp_path / "log", reaper, memory)


def first_line(log: Path, process: Process) -> str:
    """The first line that the process wrote; it must be running until then."""
    while not (text := log.read_text()).endswith("\n"):
        assert psutil.pid_exists(process.pid), text
        time.sleep(0.01)
    return text.splitlines()[0]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("", Exit(0, 0, "Completed")),
        ("raise SystemExit(3)", Exit(3, 0, "Error")),
        ("import os; os.kill(os.getpid(), 9)", Exit(137, 9, "Error")),
    ],
)
def test_an_end_is_told_as_a_container_status_has_it(
    program: str, expected: Exit, tmp_path: Path, reaper: Reaper
) -> None:
    assert run(program, tmp_path, reaper).wait() == expected


def test_output_and_errors_are_appended_to_the_log(tmp_path: Path, reaper: Reaper) -> None:
    for word in ("one", "two"):
        run(f"import sys; print('{word}', file=sys.stderr)", tmp_path, reaper).wait()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_too_much_memory_is_an_oom_kill(tmp_path: Path, reaper: Reaper) -> None:
    hungry = "x = b'x' * 300_000_000\nimport time; time.sleep(60)"
    assert run(hungry, tmp_path, reaper, memory=100_000_000).wait() == Exit(137, 9, "OOMKilled")


def test_a_deaf_process_is_killed_after_its_grace(tmp_path: Path, reaper: Reaper) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = run(deaf, tmp_path, reaper)
    waiting = threading.Thread(target=process.wait)
    waiting.start()
    first_line(tmp_path / "log", process)
    process.end(0.05)
    waiting.join()
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("detached", ["False", "True"])
def test_children_end_with_their_process(detached: str, tmp_path: Path, reaper: Reaper) -> None:
    process = run(LEAVES_A_CHILD.replace("DETACHED", detached), tmp_path, reaper)
    child = psutil.Process(int(first_line(tmp_path / "log", process)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE


OWNER = """
import sys, time
from pathlib import Path
from guard.testing.pods.process import Process
from guard.testing.pods.reaper import TOKEN, Reaper
here = Path(sys.argv[1])
program = (here / 'program').read_text()
argv = [sys.executable, '-S', '-c', program]
process = Process(argv, {TOKEN: 'killed-owner'}, here, here / 'log', Reaper('killed-owner'))
while not (here / 'log').read_text().endswith('\\n'):
    time.sleep(0.01)
print('started', flush=True)
time.sleep(60)
"""


def test_nothing_outlives_an_owner_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "program").write_text(LEAVES_A_CHILD.replace("DETACHED", "True"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert owner.stdout is not None
        owner.stdout.readline()
        left = processes_of("killed-owner")
        assert len(left) == 2
    finally:
        owner.kill()
        owner.communicate()
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
