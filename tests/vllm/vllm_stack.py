"""Real vLLM as its manifests say, in pods of this machine.

Owns starting, waiting with an end, and what is said when a server does not come up.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.kubernetes.client import CONFIG_MAPS, DEPLOYMENTS, PODS, KubernetesClient
from guard.testing.cluster import FakeCluster
from guard.testing.pods import LocalPods

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "stack/manifests"
ENVIRONMENT, MODELS = ROOT / ".venv-vllm", ROOT / ".tidegate/models"
MODEL = "smollm2-135m-instruct"
ADDRESSES = "127.60.0.0/16"
START_SECONDS = 420.0  # alone on two cores it takes 35
LAST_LINES = 25


class Stack:
    """The vLLM manifests in the cluster; pods start when they have replicas."""

    def __init__(self, client: KubernetesClient, pods: Path) -> None:
        self._client, self._pods = client, pods

    def stable(self) -> str:
        """The URL of the stable, once it has generated a token."""
        return self._wait("stable")

    @contextmanager
    def canary(self, *arguments: str) -> Iterator[str]:
        """A canary with these arguments added, as a pipeline would apply it; its URL, once it is ready."""
        added = [
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": word}
            for word in arguments
        ]
        start = {"op": "replace", "path": "/spec/replicas", "value": 1}
        self._client.patch_json(DEPLOYMENTS, "inference", "chat-canary", [*added, start])
        try:
            yield self._wait("canary")
        finally:
            self._client.patch_merge(DEPLOYMENTS, "inference", "chat-canary", {"spec": {"replicas": 0}})
            eventually(lambda: not self._of("canary"), "the canary's end", START_SECONDS)

    def _wait(self, track: str) -> str:
        def ready() -> str | None:
            pods = self._of(track)
            if any(status["restartCount"] for pod in pods for status in _containers(pod)):
                pytest.fail(f"{track} ended while it started:\n{self._tail(pods)}")
            done = (pod for pod in pods if any(status["ready"] for status in _containers(pod)))
            return next((f"http://{pod['status']['podIP']}:8000" for pod in done), None)

        try:
            return str(eventually(ready, f"a ready {track}", START_SECONDS))
        except TimeoutError as error:
            pytest.fail(f"{error}:\n{self._tail(self._of(track))}")

    def _of(self, track: str) -> list[dict[str, Any]]:
        pods: list[dict[str, Any]] = self._client.list(PODS, "inference", labels=f"track={track}")["items"]
        return pods

    def _tail(self, pods: list[dict[str, Any]]) -> str:
        logs = (self._pods / "inference" / pod["metadata"]["name"] / "log" for pod in pods)
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()[-LAST_LINES:]]
        return "\n".join(lines) or "no pod, or it printed nothing"


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return (pod.get("status") or {}).get("containerStatuses") or []


def eventually(find: Callable[[], Any], what: str, seconds: float) -> Any:
    """The first true answer; TimeoutError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return found


@contextmanager
def serve(root: Path) -> Iterator[Stack]:
    """The manifests in a cluster of their own; every pod has ended when the block has."""
    images = {"tidegate/vllm": ENVIRONMENT}
    with FakeCluster.serve() as cluster:
        kubeconfig = cluster.write_kubeconfig(root / "kubeconfig")
        client = KubernetesClient(str(kubeconfig))
        cluster.apply((MANIFESTS / "namespaces.yaml").read_text())
        models = {"metadata": {"name": "chat-models"}, "data": {"folder": str(MODELS)}}
        client.create(CONFIG_MAPS, "inference", models)
        for manifest in sorted((MANIFESTS / "engines/vllm").glob("chat-*.yaml")):
            cluster.apply(manifest.read_text())
        with LocalPods(kubeconfig, images, root / "pods", ADDRESSES):
            yield Stack(client, root / "pods")


def need_parts() -> None:
    """A part that is missing fails the test and names the command; it never skips."""
    for part in (ENVIRONMENT / "bin/python", MODELS / MODEL / "config.json"):
        if not part.exists():
            pytest.fail(f"{part.relative_to(ROOT)} is missing; run: make test-vllm")
