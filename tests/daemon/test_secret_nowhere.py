"""A runtime's key stands in a Secret and in requests, and nowhere else, whatever the runtime says of it."""

import base64
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from guard.adapters.artifacts import OutputFolder
from guard.adapters.evidence import open_evidence
from guard.adapters.evidence_check import verify
from guard.adapters.kubernetes.client import (
    CHANGES,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    GUARDS,
    SECRETS,
    KubernetesClient,
    Object,
)
from guard.adapters.opening import change_document, freeze_plan
from guard.daemon.loop import Daemon
from guard.daemon.upkeep import Upkeep
from reports.bundle import OUTPUTS, render_all
from tests.daemon.conftest import NAMESPACE, documents

pytestmark = pytest.mark.component

KEY = 'sk-very"secret/key'
MODEL = "smollm2-135m-instruct"
HOSTS = ("127.54.0.2", "127.54.0.3")  # stable, canary


class Telltale(BaseHTTPRequestHandler):
    """A runtime that repeats the caller's credentials in whatever it says."""

    heard: list[str]

    def do_GET(self) -> None:
        self._say({"object": "list", "data": [{"id": MODEL, "owned_by": self._credentials()}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        text = f"You said {self._credentials()}"
        self._say({"choices": [{"message": {"role": "assistant", "content": text}}], "error": text})

    def _credentials(self) -> str:
        said = str(self.headers.get("authorization"))
        self.heard.append(said)
        return said

    def _say(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def telltales() -> Iterator[int]:
    """Both arms; the port that they share."""
    Telltale.heard = []
    stable = ThreadingHTTPServer((HOSTS[0], 0), Telltale)
    servers = [stable, ThreadingHTTPServer((HOSTS[1], stable.server_port), Telltale)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield stable.server_port
    for server in servers:
        server.shutdown()
        server.server_close()


def make_ready(client: KubernetesClient, name: str, host: str) -> None:
    """What the controllers would say of a workload whose one pod answers."""
    deployment = client.patch_merge(DEPLOYMENTS, NAMESPACE, name, {"spec": {"replicas": 1}})
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
    status = {**counts, "observedGeneration": deployment["metadata"]["generation"]}
    client.patch_merge(DEPLOYMENTS, NAMESPACE, name, {"status": status}, "status")
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [],
    }
    client.create(ENDPOINT_SLICES, NAMESPACE, slice_)


def open_change(client: KubernetesClient, port: int) -> None:
    encoded = base64.b64encode(KEY.encode()).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "chat-key"},
        "data": {"token": encoded},
    }
    client.create(SECRETS, NAMESPACE, secret)
    (document,) = documents("stack/manifests/demo/guard.yaml")
    document["spec"]["target"]["runtime"]["port"] = port
    document["spec"]["target"]["auth"] = {"secretRef": {"name": "chat-key", "key": "token"}}
    document["spec"]["suites"] = {"beforeTraffic": [{"name": "smoke", "timeout": "1m"}]}
    client.create(GUARDS, NAMESPACE, document)
    plan = freeze_plan(client, NAMESPACE, "chat", 5.0)
    client.create(CHANGES, NAMESPACE, change_document("ops-1", "chat", "OPS-1", "R1", "ann", plan))


def until(client: KubernetesClient, key: str) -> Object:
    """The first version of the Change whose status has something at a key."""
    for _, found in client.watch(CHANGES, NAMESPACE, "0", seconds=120):
        if (found.get("status") or {}).get(key):
            return found
    raise AssertionError(f"the Change never had {key}")


def texts_of(file: Path) -> Iterator[str]:
    """Everything in a file that can be read as text, inside Parquet's compression as well."""
    yield file.read_bytes().decode("latin-1")
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        yield repr(table.schema.metadata)
        yield repr(table.to_pylist())


def test_the_key_is_in_no_file_log_line_or_object(
    client: KubernetesClient, telltales: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, host in zip(("chat-stable", "chat-canary"), HOSTS, strict=True):
        make_ready(client, name, host)
    open_change(client, telltales)
    upkeep = Upkeep(client, NAMESPACE, tmp_path, lambda *_: None, render_all)  # type: ignore[arg-type, return-value]
    daemon = Daemon(client, NAMESPACE, "test", tmp_path, render_all, upkeep)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        until(client, "suites")
        client.patch_merge(CHANGES, NAMESPACE, "ops-1", {"spec": {"action": "Close"}})
        change = until(client, "evidence")
    finally:
        daemon.stop()
        thread.join()

    assert f"Bearer {KEY}" in Telltale.heard, "the runtime was never told the key"
    folder = OutputFolder(Path(change["status"]["evidence"]))
    assert verify(open_evidence(folder.path), change["status"]["evidenceDigest"], OUTPUTS).whole
    files = [file for file in folder.path.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {*OUTPUTS, "report.json", "smoke.json", "smoke.log"}
    assert any("[redacted]" in text for file in files for text in texts_of(file))
    said = {str(file): list(texts_of(file)) for file in files}
    said["log"] = [record.getMessage() for record in caplog.records]
    said["objects"] = [json.dumps(client.list(kind, NAMESPACE)) for kind in (CHANGES, GUARDS, EVENTS)]
    forms = (KEY, json.dumps(KEY)[1:-1], KEY.replace('"', "&#34;"), base64.b64encode(KEY.encode()).decode())
    for where, texts in said.items():
        for form in forms:
            assert not any(form in text for text in texts), f"{form} in {where}"
