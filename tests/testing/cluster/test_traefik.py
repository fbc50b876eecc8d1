"""Traefik reads the Gateway API from the double and routes by it: real informers, real traffic."""

import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import ApiClient, Json, eventually

pytestmark = pytest.mark.real

HOST = "127.10.0.9"
GATEWAY = "gateway.networking.k8s.io"
ROUTE = f"/apis/{GATEWAY}/v1/namespaces/default/httproutes/chat"
TRAEFIK = Path(sys.executable).parent / "traefik"


class _Named(BaseHTTPRequestHandler):
    """Answers with the name of its server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self.server.name.encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def backends() -> Iterator[dict[str, tuple[str, int]]]:
    servers = {}
    for name, host in (("stable", "127.10.0.11"), ("canary", "127.10.0.12")):
        server = ThreadingHTTPServer((host, 0), _Named)
        server.daemon_threads = True
        server.name = name  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers[name] = server
    yield {name: server.server_address[:2] for name, server in servers.items()}  # type: ignore[misc]
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _service(name: str, host: str, port: int) -> list[Json]:
    slice_: Json = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    slice_["metadata"] = {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
    slice_["ports"] = [{"name": "http", "port": port}]
    slice_["endpoints"] = [{"addresses": [host], "conditions": {"ready": True}}]
    spec = {"ports": [{"name": "http", "port": 80, "targetPort": port}]}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}, slice_]


def _gateway(port: int) -> list[Json]:
    def made(kind: str, name: str, spec: Json) -> Json:
        return {"apiVersion": f"{GATEWAY}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    listener = {
        "name": "web",
        "protocol": "HTTP",
        "port": port,
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    backends = [{"name": "stable", "port": 80, "weight": 70}, {"name": "canary", "port": 80, "weight": 30}]
    return [
        made("GatewayClass", "traefik", {"controllerName": "traefik.io/gateway-controller"}),
        made("Gateway", "gw", {"gatewayClassName": "traefik", "listeners": [listener]}),
        made("HTTPRoute", "chat", {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": backends}]}),
    ]


@pytest.fixture
def routed(cluster: FakeCluster, backends: dict[str, tuple[str, int]]) -> Iterator[str]:
    """A URL behind Traefik that leads to both backends."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    cluster.register_gateway_api()
    cluster.apply([document for name, at in backends.items() for document in _service(name, *at)])
    cluster.apply(_gateway(port))
    command = [
        TRAEFIK,
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.endpoint={cluster.url}",
        "--providers.kubernetesgateway.token=none",
        "--providers.providersThrottleDuration=50ms",
        f"--entrypoints.web.address={HOST}:{port}",
        "--global.checknewversion=false",
    ]
    # A KUBECONFIG would win over --endpoint, and ours names no cluster (conftest.py at the root).
    hidden = {"KUBECONFIG"} | {key for key in os.environ if "proxy" in key.lower()}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    traefik = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://{HOST}:{port}/"
        assert eventually(lambda: _answers(url) in ("stable", "canary"), 30)
        yield url
    finally:
        traefik.terminate()
        traefik.wait()


def _answers(url: str) -> str:
    try:
        return httpx.get(url, trust_env=False).text
    except httpx.TransportError:
        return ""


def _shares(url: str, requests: int) -> Counter[str]:
    with httpx.Client(trust_env=False) as client:
        return Counter(client.get(url).text for _ in range(requests))


def test_traffic_follows_the_weights_of_the_route(routed: str, direct: ApiClient) -> None:
    assert _shares(routed, 100) == {"stable": 70, "canary": 30}
    refs = "/spec/rules/0/backendRefs"
    direct.json_patch(
        ROUTE,
        {"op": "test", "path": f"{refs}/1/name", "value": "canary"},
        {"op": "replace", "path": f"{refs}/0/weight", "value": 100},
        {"op": "replace", "path": f"{refs}/1/weight", "value": 0},
    )
    assert eventually(lambda: _shares(routed, 20) == {"stable": 20})


def test_traefik_reports_the_route_as_accepted(routed: str, direct: ApiClient) -> None:
    def accepted() -> bool:
        parents = direct.read(ROUTE).get("status", {}).get("parents", [])
        found = {(row["type"], row["status"]) for parent in parents for row in parent["conditions"]}
        return {("Accepted", "True"), ("ResolvedRefs", "True")} <= found

    assert eventually(accepted)


def test_traefik_asks_for_nothing_that_is_not_served(routed: str, cluster: FakeCluster) -> None:
    refused = {(entry.path, entry.code) for entry in cluster.requests if entry.code >= 400}
    assert {code for _, code in refused} <= {409}, refused


def test_traffic_moves_on_when_an_endpoint_goes(routed: str, direct: ApiClient) -> None:
    direct.merge_patch(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/canary-1", {"endpoints": []}
    )
    assert eventually(lambda: "canary" not in _shares(routed, 20))


def test_routing_outlives_an_outage_of_the_api(routed: str, direct: ApiClient, cluster: FakeCluster) -> None:
    with cluster.unreachable():
        assert _shares(routed, 10).total() == 10
    cluster.compact()
    weights = {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 0}
    assert direct.json_patch(ROUTE, weights).status_code == 200
    assert eventually(lambda: _shares(routed, 20) == {"stable": 20}, 60)
