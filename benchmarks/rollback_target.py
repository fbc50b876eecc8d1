"""What the rollback benchmark runs on: an API, real Traefik, two scripted model servers, users, the guard.

Owns processes, addresses, and the objects that a kubelet and controllers would write: the pods are the two
servers in this process and Traefik, so a rollout takes no time to start. Refuses to measure.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from guard.adapters.kubernetes.client import (
    CHANGES,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    GUARDS,
    PODS,
    SERVICES,
    Object,
)
from guard.adapters.opening import change_document, freeze_plan
from guard.demo.machine import Machine
from guard.testing.cluster.logs import LOG_FILE_ANNOTATION
from guard.testing.runtime.script import Fault, FaultKind, Script
from guard.testing.runtime.server import ScriptedRuntime
from stack.runtime.front import NOT_BEFORE_SECONDS

REPOSITORY = Path(__file__).resolve().parents[1]
MANIFESTS = REPOSITORY / "stack/manifests"
NAMESPACE, GUARD, MODEL = "inference", "chat", "scripted"
WEIGHT_PERCENT = 50
USERS_PER_SECOND = 20.0
# A stream of 16 tokens takes 0.4 s. The status comes no sooner than the reference stack's servers send it.
SCRIPT = Script(model=MODEL, status_seconds=NOT_BEFORE_SECONDS, ttft_seconds=0.05, itl_seconds=0.02)
FAULTY = replace(SCRIPT, faults=(Fault(FaultKind.HTTP500),))
ADDRESSES = {"chat-stable": "127.88.10.1", "chat-canary": "127.88.10.2", "traefik": "127.88.10.3"}
URL = f"http://{ADDRESSES['traefik']}:8080"
START_SECONDS = 60.0

POLICY: Object = {
    "enforcement": "Enforce",
    "target": {
        "runtime": {"type": "vLLM", "models": [MODEL], "port": 8000},
        "route": {"kind": "HTTPRoute", "name": "chat"},
        "stable": {"workload": {"kind": "Deployment", "name": "chat-stable"}, "service": "chat-stable"},
        "canary": {"workload": {"kind": "Deployment", "name": "chat-canary"}, "service": "chat-canary"},
    },
    "signals": {"gateway": {"type": "Traefik", "url": "http://traefik.gateway:9100/metrics"}},
    "steps": [{"weight": WEIGHT_PERCENT, "hold": "10m", "minRequests": 1}],
}


class Target:
    """Use as a context manager; users are served by the stable when it is entered."""

    def __init__(self, folder: Path, real_api: bool) -> None:
        self._machine = Machine(folder, REPOSITORY, real_api=real_api)
        self._runtimes: dict[str, ScriptedRuntime] = {}
        self._running = ExitStack()
        self.users = folder / "users.jsonl"

    @property
    def access_log(self) -> Path:
        return self._machine.log("traefik")

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for name in ("chat-stable", "chat-canary"):
                serving = ScriptedRuntime.serve(SCRIPT, ADDRESSES[name], 8000)
                self._runtimes[name] = starting.enter_context(serving)
            starting.enter_context(self._machine)
            self._start()
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def set_fault(self, faulty: bool) -> float:
        """From now on every completion of the canary fails, or none; Unix seconds of the switch."""
        self._runtimes["chat-canary"].script = FAULTY if faulty else SCRIPT
        return time.time()

    def open_change(self, name: str) -> None:
        client = self._machine.client
        plan = freeze_plan(client, NAMESPACE, GUARD, START_SECONDS)
        client.create(CHANGES, NAMESPACE, change_document(name, GUARD, name.upper(), "R1", "benchmark", plan))

    def status(self, name: str) -> Object:
        """The Change's status; empty before the guard has seen it."""
        status: Object = self._machine.client.get(CHANGES, NAMESPACE, name).get("status") or {}
        return status

    def check(self) -> None:
        """Raises DemoError when a process has ended."""
        self._machine.check()

    def _start(self) -> None:
        machine = self._machine
        machine.start_api()
        for part in ("deploy/crds.yaml", "stack/manifests/namespaces.yaml"):
            machine.kubectl("apply", "-f", str(REPOSITORY / part))
        for part in ("gateway/gateway.yaml", "runtime/route.yaml"):
            machine.kubectl("apply", "-f", str(MANIFESTS / part))
        for name in self._runtimes:
            self._create_pod(NAMESPACE, name, {"http": 8000})
        self._create_pod("gateway", "traefik", {"web": 8080, "metrics": 9100}, self.access_log)
        machine.start("traefik", _traefik(machine.client.url), str(Path(sys.executable).parent / "traefik"))
        head = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "Guard", "metadata": {"name": GUARD}}
        machine.client.create(GUARDS, NAMESPACE, head | {"spec": POLICY})
        where = ["--kubeconfig", str(machine.kubeconfig), "--artifacts", str(machine.folder / "artifacts")]
        machine.start("guard", ["-m", "guard.cli", "guard", "-n", NAMESPACE, "--identity", "bench", *where])
        machine.wait_for("the gateway", _answers, START_SECONDS)
        machine.wait_for("the guard", self._accepted, START_SECONDS)
        machine.start("users", _users(self.users))

    def _accepted(self) -> bool:
        guard = self._machine.client.get(GUARDS, NAMESPACE, GUARD)
        conditions = (guard.get("status") or {}).get("conditions") or []
        return any((c["type"], c["status"]) == ("Accepted", "True") for c in conditions)

    def _create_pod(self, namespace: str, name: str, ports: dict[str, int], log: Path | None = None) -> None:
        """A Deployment of one ready pod, and its Service: what is there when a rollout is done."""
        client = self._machine.client
        labels = {"app": name}
        container = {"name": name, "image": f"{name}:1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        client.create(DEPLOYMENTS, namespace, _object("apps/v1", "Deployment", name, spec=spec))
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        status: Object = {"status": {**counts, "observedGeneration": 1}}
        client.patch_merge(DEPLOYMENTS, namespace, name, status, "status")

        pod = _object("v1", "Pod", f"{name}-0", spec=template["spec"])
        annotations = {LOG_FILE_ANNOTATION: str(log)} if log else {}
        pod["metadata"] |= {"labels": labels, "annotations": annotations}
        client.create(PODS, namespace, pod)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
        running = {"phase": "Running", "podIP": ADDRESSES[name], "conditions": ready}
        client.patch_merge(PODS, namespace, f"{name}-0", {"status": running}, "status")

        rows = [{"name": port, "port": number, "targetPort": number} for port, number in ports.items()]
        service = _object("v1", "Service", name, spec={"selector": labels, "ports": rows})
        client.create(SERVICES, namespace, service)
        client.create(ENDPOINT_SLICES, namespace, _slice(namespace, name, ports))


def _object(api_version: str, kind: str, name: str, **members: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **members}


def _slice(namespace: str, name: str, ports: dict[str, int]) -> Object:
    target = {"kind": "Pod", "namespace": namespace, "name": f"{name}-0"}
    endpoint = {"addresses": [ADDRESSES[name]], "conditions": {"ready": True}, "targetRef": target}
    rows = [{"name": port, "port": number, "protocol": "TCP"} for port, number in ports.items()]
    found = _object("discovery.k8s.io/v1", "EndpointSlice", f"{name}-1", addressType="IPv4", ports=rows)
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    return found | {"endpoints": [endpoint]}


def _traefik(api: str) -> list[str]:
    """As in stack/manifests/gateway/traefik.yaml."""
    address = ADDRESSES["traefik"]
    return [
        f"--entrypoints.web.address={address}:8080",
        "--entrypoints.web.transport.respondingtimeouts.readtimeout=0",
        f"--entrypoints.metrics.address={address}:9100",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.endpoint={api}",
        "--providers.kubernetesgateway.token=none",
        "--providers.providersthrottleduration=50ms",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addserviceslabels=true",
        "--accesslog=true",
        "--accesslog.format=json",
        "--accesslog.fields.headers.names.X-Request-Id=keep",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


def _users(out: Path) -> list[str]:
    return [
        *("-m", "stack.users", "--url", URL, "--model", MODEL, "--out", str(out)),
        *("--rate", str(USERS_PER_SECOND), "--long-ratio", "0", "--max-tokens", "16"),
        *("--max-in-flight", "64"),
    ]


def _answers() -> bool:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    try:
        found = httpx.post(f"{URL}/v1/chat/completions", json=body, timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return found.status_code == 200
