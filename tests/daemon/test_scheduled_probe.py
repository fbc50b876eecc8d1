"""The whole daemon with a schedule: the API's double, a scripted model server, real suites and a webhook."""

import base64
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from guard.adapters.kubernetes.client import (
    ENDPOINT_SLICES,
    GUARDS,
    SECRETS,
    SUITE_RUNS,
    KubernetesClient,
    Object,
)
from guard.adapters.metrics import Metrics, MetricsServer
from guard.daemon.loop import Daemon
from guard.daemon.upkeep import Upkeep
from guard.gate.probe import probe
from guard.testing.runtime import Fault, Script, ScriptedRuntime
from reports.bundle import render_all
from tests.daemon.conftest import NAMESPACE, documents

pytestmark = pytest.mark.component

HOST = "127.60.4.1"
MODEL = "smollm2-135m-instruct"
PATIENCE_SECONDS = 120.0


@pytest.fixture
def runtime() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve(Script(model=MODEL, ttft_seconds=0.01), host=HOST) as runtime:
        yield runtime


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A chat server, and what it was told."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://{HOST}:{server.server_port}/verysecrettoken", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(
    client: KubernetesClient, runtime: ScriptedRuntime, told: tuple[str, Any], tmp_path: Path
) -> Iterator[Callable[[], dict[str, float]]]:
    """A daemon at two seconds to the full minute; gives what its metrics say."""
    _serve_stable(client, runtime.url)
    _create_guard(client, urlsplit(runtime.url).port or 0, told[0])
    shift = 58.0 - time.time() % 60
    metrics = Metrics()
    upkeep = Upkeep(client, NAMESPACE, tmp_path, probe, render_all, metrics, now=lambda: time.time() + shift)
    daemon = Daemon(client, NAMESPACE, "test", tmp_path, render_all, upkeep)
    server = MetricsServer(metrics, "127.0.0.1", 0)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield lambda: _scraped(server.url)
    finally:
        daemon.stop()
        thread.join()
        server.stop()


def _serve_stable(client: KubernetesClient, url: str) -> None:
    """What the endpoints' controller would write."""
    ports = [{"name": "http", "port": urlsplit(url).port}]
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": {"name": "stable", "labels": {"kubernetes.io/service-name": "chat-stable"}},
        "endpoints": [{"addresses": [HOST], "conditions": {"ready": True}}],
        "ports": ports,
    }
    client.create(ENDPOINT_SLICES, NAMESPACE, body)


def _create_guard(client: KubernetesClient, port: int, hook: str) -> None:
    (guard,) = documents("stack/manifests/demo/guard.yaml")
    guard["spec"]["target"]["runtime"]["port"] = port
    guard["spec"]["suites"] = {"schedule": [{"cron": "* * * * *", "suites": [{"name": "smoke"}]}]}
    guard["spec"]["notify"] = [{"webhook": {"secretRef": {"name": "hook"}}}]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}}
    client.create(SECRETS, NAMESPACE, {**secret, "data": {"url": base64.b64encode(hook.encode()).decode()}})
    client.create(GUARDS, NAMESPACE, guard)


def _scraped(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            f"{sample.name} {sample.labels.get('verdict', '')}".strip(): sample.value
            for family in families
            for sample in family.samples
        }


def _finished(client: KubernetesClient) -> Object:
    """The first SuiteRun that has ended."""
    for _, run in client.watch(SUITE_RUNS, NAMESPACE, "0", seconds=int(PATIENCE_SECONDS)):
        if (run.get("status") or {}).get("phase") == "Finished":
            return run
    raise AssertionError("no scheduled suite ended")


def _until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_the_stable_is_probed_on_schedule_and_a_sound_one_is_no_news(
    client: KubernetesClient,
    page: Callable[[], dict[str, float]],
    told: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    status = _finished(client)["status"]
    assert status["verdict"] == "PASS", status
    _until(lambda: page().get("tidegate_suite_verdict PASS") == 1)
    found = page()
    assert found["tidegate_probe_ttft_seconds_count"] == found["tidegate_probe_e2e_seconds_count"] == 5
    assert found["tidegate_guard_leader"] == 1
    report = json.loads((Path(status["evidence"]) / "verdict.json").read_bytes())
    assert report["files"], "the evidence is not sealed"
    assert told[1] == []
    file = tmp_path / NAMESPACE / "error_budgets/chat.json"
    _until(file.is_file)
    probes = json.loads(file.read_bytes())["probes"]
    assert [row[1:] for row in probes["ttft>10s"]] == [[0, 5, 1, 0]]
    assert [(bad, total > 0, runs) for _, bad, total, runs, _ in probes["errors"]] == [(0, True, 1)]
    assert found["tidegate_error_budget_ratio"] > 0


def test_a_stable_that_breaks_is_told_by_metric_and_webhook(
    client: KubernetesClient,
    page: Callable[[], dict[str, float]],
    runtime: ScriptedRuntime,
    told: tuple[str, list[dict[str, Any]]],
) -> None:
    runtime.script = Script(model=MODEL, faults=(Fault.parse("leak-special"),))
    assert _finished(client)["status"]["verdict"] == "FAIL"
    _until(lambda: told[1])
    (body,) = told[1]
    assert (body["event"], body["verdict"], body["probe"]["suite"]) == ("ProbeFailed", "FAIL", "smoke")
    assert body["signal"]["check"] == "no-leaked-special-tokens"
    assert page()["tidegate_suite_verdict FAIL"] == 1
