"""A whole target for the doctor: FakeCluster with RBAC, one served model, one gateway with an access log."""

import json
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.adapters.kubernetes.client import KubernetesClient
from guard.api.crd import definitions
from guard.doctor.finding import Finding
from guard.doctor.run import examine
from guard.testing.cluster import FakeCluster
from guard.testing.cluster.logs import LOG_FILE_ANNOTATION

MANIFESTS = Path(__file__).parents[2] / "stack/manifests"
GUARD_USER = "system:serviceaccount:inference:tidegate-guard"
HOST = "127.73.0.1"
BACKEND = "httproute-inference-chat-gw-gateway-ai-svc-inference-chat-stable-0@kubernetesgateway"
LOGGED = {
    "ServiceName": BACKEND,
    "ServiceAddr": "10.0.0.1:8000",
    "DownstreamStatus": 200,
    "StartUTC": "2030-01-01T00:00:00Z",
    "Duration": 1_000_000,
}


class Server:
    """An HTTP server whose answers a test sets by path."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = server.answers.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


@dataclass
class Stand:
    """A healthy target, to be crippled before `findings` looks at it."""

    cluster: FakeCluster
    runtime: Server
    gateway: Server
    kubeconfig: Path
    log: Path
    artifacts: Path
    guard: dict[str, Any] = field(default_factory=dict)

    def client(self, user: str | None = GUARD_USER) -> KubernetesClient:
        return KubernetesClient(str(self.kubeconfig), impersonate=user)

    def findings(self, user: str | None = GUARD_USER, guard: str | None = None) -> list[Finding]:
        return list(examine(self.client(user), "inference", guard, self.artifacts))

    def edit_role(self, change: Callable[[list[dict[str, Any]]], None], namespace: str = "inference") -> None:
        """Change the rules of the guard's Role."""
        role = next(r for r in guard_manifests() if _key(r) == ("Role", namespace))
        change(role["rules"])
        self.cluster.apply([role])


@cache
def _parsed_manifests() -> tuple[dict[str, Any], ...]:
    text = (MANIFESTS / "guard/daemon.yaml").read_text()
    return tuple(document for document in yaml.safe_load_all(text) if document)


def guard_manifests() -> list[dict[str, Any]]:
    """A test's own copies; read once, which takes PyYAML 50 ms."""
    return deepcopy(list(_parsed_manifests()))


@cache
def _definitions() -> tuple[dict[str, Any], ...]:
    """Made once, which takes pydantic a tenth of a second; the double keeps copies."""
    return tuple(definitions())


def _key(document: dict[str, Any]) -> tuple[str, str | None]:
    return document["kind"], document["metadata"].get("namespace")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    runtime = Server({"/v1/models": json.dumps({"data": [{"id": "m"}]}), "/metrics": "llamacpp:requests 0\n"})
    counter = f'traefik_service_requests_total{{code="200",service="{BACKEND}"}} 7\n'
    gateway = Server({"/metrics": counter})
    try:
        with FakeCluster.serve() as cluster:
            log = tmp_path / "traefik.log"
            log.write_text(json.dumps(LOGGED) + "\n")
            stand = Stand(
                cluster,
                runtime,
                gateway,
                cluster.write_kubeconfig(tmp_path / "kubeconfig"),
                log,
                tmp_path / "artifacts",
            )
            _fill(stand)
            yield stand
    finally:
        runtime.close()
        gateway.close()


def _fill(stand: Stand) -> None:
    cluster = stand.cluster
    cluster.apply(_definitions())
    cluster.register_gateway_api()
    cluster.apply(_object("Namespace", name, None) for name in ("inference", "gateway"))
    cluster.apply(document for document in guard_manifests() if document["kind"] != "Deployment")
    cluster.apply(_key_of_the_runtime())
    for name, replicas in (("chat-stable", 1), ("chat-canary", 0)):
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": "m"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        cluster.apply([_object("Deployment", name, "inference", "apps/v1", spec=spec)])
    backends = [{"name": name, "port": 8000} for name in ("chat-stable", "chat-canary")]
    route = {"parentRefs": [{"name": "ai"}], "rules": [{"backendRefs": backends}]}
    cluster.apply([_object("HTTPRoute", "chat", "inference", "gateway.networking.k8s.io/v1", spec=route)])
    cluster.apply([_slice("chat-stable", "inference", "http", stand.runtime.port, "chat-stable-1")])
    ports = [{"name": "metrics", "port": 9100}]
    cluster.apply([_object("Service", "traefik", "gateway", spec={"ports": ports})])
    cluster.apply([_slice("traefik", "gateway", "metrics", stand.gateway.port, "traefik-1")])
    pod = _object("Pod", "traefik-1", "gateway", spec={"containers": [{"name": "t", "image": "t"}]})
    pod["metadata"]["annotations"] = {LOG_FILE_ANNOTATION: str(stand.log)}
    cluster.apply([pod])
    stand.guard = _guard(stand.runtime.port)
    cluster.apply([stand.guard])


def _object(kind: str, name: str, namespace: str | None, api: str = "v1", **rest: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _slice(service: str, namespace: str, port_name: str, port: int, pod: str) -> dict[str, Any]:
    endpoint = {"addresses": [HOST], "targetRef": {"kind": "Pod", "name": pod}}
    body = {"addressType": "IPv4", "endpoints": [endpoint], "ports": [{"name": port_name, "port": port}]}
    document = _object("EndpointSlice", f"{service}-1", namespace, "discovery.k8s.io/v1", **body)
    document["metadata"]["labels"] = {"kubernetes.io/service-name": service}
    return document


def _key_of_the_runtime() -> Iterator[dict[str, Any]]:
    """A Secret, and the right to read it alone."""
    yield _object("Secret", "chat-key", "inference", data={"token": "aHVudGVyMi1odW50ZXIy"})
    rbac = "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["chat-key"]}
    yield _object("Role", "chat-key", "inference", rbac, rules=[rule])
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "chat-key"}
    subject = {"kind": "ServiceAccount", "name": "tidegate-guard", "namespace": "inference"}
    yield _object("RoleBinding", "chat-key", "inference", rbac, roleRef=role, subjects=[subject])


def _guard(port: int) -> dict[str, Any]:
    sides = {
        side: {"workload": {"name": f"chat-{side}"}, "service": f"chat-{side}"}
        for side in ("stable", "canary")
    }
    target = {
        "runtime": {"type": "llama.cpp", "models": ["m"], "port": port},
        "auth": {"secretRef": {"name": "chat-key", "key": "token"}},
        "route": {"name": "chat"},
        **sides,
    }
    gateway = {"type": "Traefik", "url": "http://traefik.gateway:9100/metrics"}
    spec = {
        "enforcement": "Enforce",
        "target": target,
        "signals": {"gateway": gateway},
        "steps": [{"weight": 100, "hold": "20s"}],
    }
    return _object("Guard", "chat", "inference", "tidegate.dev/v1alpha1", spec=spec)
