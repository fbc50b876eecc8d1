"""`python -m guard.testing cluster` as a process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

pytestmark = pytest.mark.component

HOST = "127.10.0.4"


@contextmanager
def _running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "guard.testing", "cluster", "--host", HOST, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert process.stdout.readline() == "ready\n"
        yield process, url
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_although_a_watch_is_open(number: signal.Signals) -> None:
    with _running() as (process, url):
        path = f"{url}/api/v1/pods?watch=true"
        with httpx.Client(trust_env=False) as client, client.stream("GET", path) as answer:
            assert answer.status_code == 200
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_loads_a_folder_and_writes_a_kubeconfig(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: later}}\n---\n"
        "{apiVersion: v1, kind: Namespace, metadata: {name: later}}\n"
    )
    config = tmp_path / "kubeconfig"
    with _running("--apply", str(folder), "--write-kubeconfig", str(config)) as (_, url):
        server = yaml.safe_load(config.read_text())["clusters"][0]["cluster"]["server"]
        assert server == url
        found = httpx.get(f"{server}/api/v1/namespaces/later/configmaps/a", trust_env=False)
        assert found.status_code == 200


def test_a_manifest_of_an_unknown_kind_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{apiVersion: example.com/v1, kind: Odd, metadata: {name: a}}")
    command = [sys.executable, "-m", "guard.testing", "cluster", "--host", HOST, "--apply", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "error: no such kind here: example.com/v1 Odd\n"


def test_an_unknown_double_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "guard.testing", "none"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "usage:" in ended.stderr
