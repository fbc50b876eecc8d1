"""Small workloads for LocalPods' tests, and a wait for what they lead to."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from guard.adapters.kubernetes.client import DEPLOYMENTS, PODS, KubernetesClient

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
# Ends at once on SIGTERM, which a shell that waits for a child would not.
SLEEP = ["sleep", "600"]


def eventually(find: Callable[[], T | bool | None], what: str) -> T:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := find():
            return found  # type: ignore[return-value]
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


def container(command: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": "local/tools:1", "command": command or SLEEP, **fields}


def template(app: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "containers": list(containers) or [container()],
            "terminationGracePeriodSeconds": 5,
            **spec,
        },
    }


def deployment(
    namespace: str, name: str, *containers: dict[str, Any], replicas: int = 1, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, *containers),
            **spec,
        },
    }


def job(namespace: str, name: str, command: list[str], **spec: Any) -> dict[str, Any]:
    pod = template(name, container(command), restartPolicy="Never")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": pod, **spec},
    }


def pods_of(client: KubernetesClient, namespace: str, app: str) -> list[dict[str, Any]]:
    items = client.list(PODS, namespace)["items"]
    return [p for p in items if p["metadata"]["labels"].get("app") == app]


def main_container(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{"state": {}, "lastState": {}}]
    return dict(statuses[0])


def rolled_out(client: KubernetesClient, namespace: str, name: str) -> bool:
    """What `kubectl rollout status` waits for."""
    found = client.get(DEPLOYMENTS, namespace, name)
    status, wanted = found.get("status") or {}, found["spec"]["replicas"]
    counts = [status.get(k) or 0 for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3
