"""`tidegate guard` as a process: it leads, tells Prometheus so, and ends when told."""

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import documents

pytestmark = pytest.mark.component

PATIENCE_SECONDS = 60.0


def test_a_guard_serves_its_metrics_until_it_is_told_to_end(tmp_path: Path) -> None:
    with FakeCluster.serve() as cluster:
        cluster.register_gateway_api()
        cluster.apply(documents("deploy/crds.yaml", "stack/manifests/namespaces.yaml"))
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        main = "from guard.cli import main; main()"
        options = ["-n", "inference", "--artifacts", str(tmp_path), "--kubeconfig", str(kubeconfig)]
        command = [sys.executable, "-c", main, "guard", *options, "--metrics-port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            found = re.search(r"metrics on (http://\S+)", process.stderr.readline())
            assert found is not None
            leads = 'tidegate_guard_leader{namespace="inference"} 1.0'
            page = _page_with(found[1], leads)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert leads in page, said
    assert "tidegate_guard_last_tick_timestamp_seconds" in page
    assert process.returncode == 0, said


def _page_with(url: str, line: str) -> str:
    """The page once it has this line, or as it is when patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with urllib.request.urlopen(url) as answer:
            page: str = answer.read().decode()
        if line in page or time.monotonic() > deadline:
            return page
        threading.Event().wait(0.1)
