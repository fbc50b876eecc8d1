"""`python -m guard.testing pods`: it serves from a shell, and however it ends nothing stays."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from guard.testing.cluster import FakeCluster
from tests.testing.pods.workloads import container, deployment, eventually

pytestmark = pytest.mark.component

# One sleeper in a session of its own, which no signal to the process group reaches.
WITH_A_DETACHED_CHILD = container(["sh", "-c", "setsid sleep 600 & exec sleep 600"])


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with FakeCluster.serve() as cluster:
        cluster.apply([deployment("default", "web", WITH_A_DETACHED_CHILD)])
        yield cluster.write_kubeconfig(tmp_path / "kubeconfig")


def pods_command(kubeconfig: Path) -> subprocess.Popen[str]:
    """The command, once it said `ready`."""
    options = ["--kubeconfig", str(kubeconfig), "--root", str(kubeconfig.parent / "pods")]
    command = [sys.executable, "-m", "guard.testing", "pods", *options, "--addresses", "127.20.4.0/24"]
    process = subprocess.Popen(
        [*command, "--image", f"local/tools={sys.prefix}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def sleepers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    return [p for p in found if p.name() == "sleep"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_command(kubeconfig: Path, end: signal.Signals) -> None:
    process = pods_command(kubeconfig)
    try:
        left = eventually(lambda: found if len(found := sleepers(process)) == 2 else None, "two sleepers")
        process.send_signal(end)
        code = process.wait(30)
    finally:
        process.kill()
        process.communicate()
    assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("options", "code"), [(["--image", "nonsense"], 2), (["--addresses", "10.0.0.0/8"], 1), ([], 2)]
)
def test_unusable_options_end_it_at_once(kubeconfig: Path, options: list[str], code: int) -> None:
    needed = ["--kubeconfig", str(kubeconfig), "--root", str(kubeconfig.parent)] if options else []
    command = [sys.executable, "-m", "guard.testing", "pods", *needed, *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
