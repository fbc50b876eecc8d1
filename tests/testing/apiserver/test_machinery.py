"""The machinery's processes: they end with their holder, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from guard.testing.apiserver import parts
from guard.testing.apiserver.machinery import ApiMachinery, MachineryError
from tests.testing.cluster.api_client import eventually

HOST = "127.88.1.2"
NAMES = {"etcd", "apiextensions-apiserver"}


def _children(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.name()[:15] in {n[:15] for n in NAMES}]


@pytest.mark.api
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_holder(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "guard.testing", "cluster", "--host", HOST, "--real-api", str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert [line.strip() for line in (holder.stdout.readline(), holder.stdout.readline())][1] == "ready"
        children = _children(holder.pid)
        assert len(children) == 2
        holder.send_signal(number)
        holder.wait(20)
        assert eventually(lambda: not any(child.is_running() for child in children))
    finally:
        holder.kill()
        holder.communicate()


def test_a_missing_part_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ETCD", tmp_path / "etcd")
    with (
        pytest.raises(MachineryError, match=r"etcd.* not built.*make setup-api"),
        ApiMachinery(tmp_path, tmp_path / "kubeconfig"),
    ):
        pass
