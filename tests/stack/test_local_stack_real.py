"""The reference stack's manifests on one machine: llama.cpp pods behind Traefik, moved by weights."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from guard.adapters.kubernetes.client import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    PODS,
    KubernetesClient,
    Resource,
)
from guard.testing.cluster import FakeCluster
from guard.testing.pods import LocalPods

pytestmark = pytest.mark.real

MANIFESTS = Path(__file__).parents[2] / "stack/manifests"
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways")
PATIENCE_SECONDS = 90.0


def eventually(find: Any, what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := find():
            return found
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


class Stack:
    """The stack as its users and operators reach it."""

    def __init__(self, client: KubernetesClient, pods: LocalPods) -> None:
        self.client, self.pods = client, pods

    def ready(self, namespace: str, app: str, track: str | None = None) -> list[str]:
        """Addresses of the ready pods."""
        labels = f"app={app}" + (f",track={track}" if track else "")
        items = self.client.list(PODS, namespace, labels=labels)["items"]
        return [p["status"]["podIP"] for p in items if _is_ready(p)]

    def scale(self, name: str, replicas: int) -> None:
        self.client.patch_merge(DEPLOYMENTS, "inference", name, {"spec": {"replicas": replicas}})

    def weigh(self, stable: int, canary: int) -> None:
        path = "/spec/rules/0/backendRefs/{}/weight"
        pairs = [(path.format(0), stable), (path.format(1), canary)]
        operations = [{"op": "replace", "path": path, "value": weight} for path, weight in pairs]
        self.client.patch_json(HTTP_ROUTES, "inference", "chat", operations)

    @property
    def gateway(self) -> str:
        """Read where any client of the Gateway API would: from the Gateway's status."""

        def address() -> str | None:
            status = self.client.get(GATEWAYS, "gateway", "ai").get("status") or {}
            return next((a["value"] for a in status.get("addresses") or []), None)

        return f"http://{eventually(address, 'an address of the gateway')}"

    def chat(self) -> tuple[int, str]:
        """(status, the last line) of a streamed chat through the gateway."""
        body = {
            "model": "smollm2-135m-instruct",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 4,
            "stream": True,
        }
        url = f"{self.gateway}:8080/v1/chat/completions"
        reply = httpx.post(url, json=body, timeout=60, trust_env=False)
        return reply.status_code, reply.text.strip().splitlines()[-1] if reply.text.strip() else ""

    def served(self) -> Counter[str]:
        """Successful requests per Service, from the gateway's own counters."""
        found: Counter[str] = Counter()
        for line in httpx.get(f"{self.gateway}:9100/metrics", trust_env=False).text.splitlines():
            if line.startswith("traefik_service_requests_total") and 'code="200"' in line:
                track = "canary" if "chat-canary" in line else "stable"
                found[track] += int(float(line.rsplit(" ", 1)[1]))
        return found


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("stack")
    images = {"traefik": sys.prefix, "tidegate/runtime": sys.prefix}
    with FakeCluster.serve() as cluster:
        cluster.register_gateway_api()
        kubeconfig = cluster.write_kubeconfig(root / "kubeconfig")
        for manifest in _manifests():
            cluster.apply(manifest.read_text())
        with LocalPods(kubeconfig, images, root, "127.20.5.0/24") as pods:
            stack = Stack(KubernetesClient(str(kubeconfig)), pods)
            eventually(lambda: stack.ready("gateway", "traefik"), "a ready gateway")
            eventually(lambda: stack.ready("inference", "chat", "stable"), "a ready stable")
            eventually(lambda: stack.chat()[0] == 200, "a first answer")
            yield stack
            left = [psutil.Process(pid) for pid in pods.pids]
        assert left
        assert not [p for p in left if p.is_running()]


def _manifests() -> list[Path]:
    folders = (MANIFESTS / "gateway", MANIFESTS / "runtime")
    return [MANIFESTS / "namespaces.yaml", *(m for f in folders for m in sorted(f.glob("*.yaml")))]


def test_the_gateway_streams_whole_answers_from_the_stable(stack: Stack) -> None:
    # Behind the gateway 1 in 25 streams was cut short where the model server answered for itself.
    assert {stack.chat() for _ in range(60)} == {(200, "data: [DONE]")}


def test_weights_move_requests_and_scaling_down_removes_the_process(stack: Stack) -> None:
    stack.scale("chat-canary", 1)
    (address,) = eventually(lambda: stack.ready("inference", "chat", "canary"), "a ready canary")
    before = stack.served()
    stack.weigh(50, 50)
    eventually(lambda: stack.chat() and stack.served()["canary"] > before["canary"], "a canary's answer")
    half = stack.served()
    assert [stack.chat()[0] for _ in range(10)] == [200] * 10
    assert stack.served() - half == Counter(stable=5, canary=5)

    stack.weigh(100, 0)
    eventually(lambda: _keeps_to_the_stable(stack), "the canary's last answer")
    processes = [p for pid in stack.pods.pids if address in " ".join((p := psutil.Process(pid)).cmdline())]
    assert len(processes) == 1
    stack.scale("chat-canary", 0)
    eventually(lambda: not stack.client.list(PODS, "inference", labels="track=canary")["items"], "its end")
    assert not processes[0].is_running()
    assert stack.chat() == (200, "data: [DONE]")


def _keeps_to_the_stable(stack: Stack) -> bool:
    before = stack.served()["canary"]
    return [stack.chat()[0] for _ in range(4)] == [200] * 4 and stack.served()["canary"] == before


def test_a_rolling_update_of_the_stable_loses_no_request(stack: Stack) -> None:
    env = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--temp=0.7"}]
    (old,) = stack.ready("inference", "chat", "stable")
    stack.client.patch_json(DEPLOYMENTS, "inference", "chat-stable", env)
    answers = []

    def replaced() -> bool:
        answers.append(stack.chat())
        slices = stack.client.list(
            ENDPOINT_SLICES, "inference", labels="kubernetes.io/service-name=chat-stable"
        )
        addresses = [a for s in slices["items"] for e in s["endpoints"] for a in e["addresses"]]
        return len(addresses) == 1 and addresses != [old]

    eventually(replaced, "the new pod alone")
    assert set(answers) == {(200, "data: [DONE]")}
