"""Deployments and their pods, as the guard needs them: templates, readiness, addresses, restarts.

Refuses to know what a canary is. Pods are found by the Deployment's own selector; addresses are taken from
the Service's EndpointSlices, so that what is judged is what the gateway would send to.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guard.adapters.kubernetes.client import DEPLOYMENTS, KubernetesClient, Object

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"  # `kubectl rollout restart`: the same thing, anew


@dataclass(frozen=True)
class Replica:
    """One pod of an arm.

    Attributes:
        oom_kills: The last ones that its status still tells of, each as (container, when it ended).
        ready_at: Since when, Unix seconds by the node's clock; None while it is not.
    """

    name: str
    address: str | None
    ready: bool
    restarts: int
    oom_kills: frozenset[tuple[str, str]]
    ready_at: float | None


@dataclass(frozen=True, order=True)
class Address:
    """Where a Service sends new requests; `pod` is empty where the endpoint names none."""

    ip: str
    pod: str = ""


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether `matchLabels` of a selector hold for an object's labels."""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def replicas(deployment: Object, pods: Iterable[Object]) -> list[Replica]:
    """The Deployment's pods that are not being deleted, by name."""
    selector = deployment["spec"]["selector"]
    mine = [
        pod
        for pod in pods
        if selects(selector, pod["metadata"].get("labels") or {})
        and not pod["metadata"].get("deletionTimestamp")
        and pod["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    ]
    return sorted((_replica(pod) for pod in mine), key=lambda replica: replica.name)


def endpoint_addresses(service: str, namespace: str, slices: Iterable[Object]) -> list[Address]:
    """A Service's endpoints that take new requests, in the order of their addresses."""
    found: set[Address] = set()
    for part in slices:
        metadata = part["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if metadata["namespace"] != namespace or owner != service:
            continue
        for endpoint in part.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                target = endpoint.get("targetRef") or {}
                pod = target.get("name", "") if target.get("kind", "Pod") == "Pod" else ""
                found.update(Address(ip, pod) for ip in endpoint["addresses"])
    return sorted(found)


def rolled_out(deployment: Object) -> bool:
    """All wanted replicas run the current template and are available, and the controller has seen it."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return False
    return bool(
        status.get("updatedReplicas", 0) >= wanted
        and status.get("availableReplicas", 0) >= wanted
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )


def template_for(template: Mapping[str, Any], own: Mapping[str, Any]) -> Object:
    """`template` with the labels of `own`: what makes a pod belong to its workload stays its own."""
    result: Object = copy.deepcopy(dict(template))
    labels = copy.deepcopy((own.get("metadata") or {}).get("labels") or {})
    result["metadata"] = {**(result.get("metadata") or {}), "labels": labels}
    return result


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two pod templates run the same thing: equal but for labels and the mark of a restart."""
    return _what_runs(one) == _what_runs(other)


def _what_runs(template: Mapping[str, Any]) -> Object:
    result = template_for(template, {})
    annotations = result["metadata"].pop("annotations", None) or {}
    kept = {key: value for key, value in annotations.items() if key != RESTARTED_AT}
    return {**result, "metadata": {**result["metadata"], "annotations": kept}}


def replace_template(client: KubernetesClient, deployment: Object, template: Mapping[str, Any]) -> Object:
    """Sets the pod template, if the Deployment's is still the one that was read.

    Raises:
        ConflictError: It was changed meanwhile.
    """
    metadata = deployment["metadata"]
    operations = [*_as_read(deployment), {"op": "replace", "path": "/spec/template", "value": template}]
    return client.patch_json(DEPLOYMENTS, metadata["namespace"], metadata["name"], operations)


def scale(client: KubernetesClient, deployment: Object, count: int) -> Object:
    """Sets the replicas, if the Deployment's pod template is still the one that was read.

    Not by the scale subresource, which knows no template to test.

    Raises:
        ConflictError: It was changed meanwhile: what would be scaled is something else.
    """
    operations = [
        *_as_read(deployment),
        {"op": "add", "path": "/spec/replicas", "value": count},
    ]
    metadata = deployment["metadata"]
    return client.patch_json(DEPLOYMENTS, metadata["namespace"], metadata["name"], operations)


def _as_read(deployment: Object) -> list[dict[str, Any]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": deployment["metadata"]["uid"]},
        {"op": "test", "path": "/spec/template", "value": deployment["spec"]["template"]},
    ]


def _replica(pod: Object) -> Replica:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready: Mapping[str, str] = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), {})
    return Replica(
        name=pod["metadata"]["name"],
        address=status.get("podIP"),
        ready=ready.get("status") == "True",
        restarts=sum(c.get("restartCount", 0) for c in containers),
        oom_kills=frozenset(kill for c in containers for kill in _oom_kills(c)),
        ready_at=_unix(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None,
    )


def _unix(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _oom_kills(container: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By when each ended: one that has moved from `state` to `lastState` is still the same."""
    states = (container.get("state") or {}, container.get("lastState") or {})
    ended = [state.get("terminated") or {} for state in states]
    return [(container["name"], e.get("finishedAt", "")) for e in ended if e.get("reason") == "OOMKilled"]
