"""Service -> EndpointSlices: which pods get traffic, and at which port.

A pod whose deletion began stays listed, not ready and terminating, until it is gone: that is how a gateway
stops sending to it while its streams end. Knows no process.
"""

from collections.abc import Sequence

from guard.adapters.kubernetes.client import ENDPOINT_SLICES, KubernetesClient, Object
from guard.testing.pods.objects import (
    NODE,
    Snapshot,
    has_labels,
    is_finished,
    is_ready,
    is_terminating,
    key,
    owned,
    owner_reference,
)

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGER = "local-pods.tidegate.dev"
PORTS_ANNOTATION = "local.tidegate.dev/ports"  # "8000:41234,9100:41235": declared port, real port

Ports = list[Object]


def reconcile_service(client: KubernetesClient, service: Object, state: Snapshot) -> None:
    """Write, replace or delete the Service's slices: one per distinct set of port numbers."""
    if not (service["spec"].get("selector") and service["metadata"].get("namespace")):
        return
    wanted = {key(s)[1]: s for s in slices_for(service, state.pods)}
    held = {key(s)[1]: s for s in owned(state.slices, service)}
    for name, fresh in wanted.items():
        old = held.get(name)
        if old is None:
            client.create(ENDPOINT_SLICES, key(service)[0], fresh)
        elif old.get("endpoints") != fresh["endpoints"] or old.get("ports") != fresh["ports"]:
            body = {"endpoints": fresh["endpoints"], "ports": fresh["ports"]}
            client.patch_merge(ENDPOINT_SLICES, key(service)[0], name, body)
    for name in held.keys() - wanted.keys():
        client.delete(ENDPOINT_SLICES, key(service)[0], name)


def slices_for(service: Object, pods: Sequence[Object]) -> list[Object]:
    """The EndpointSlices that the Service should have; one without endpoints where no pod matches."""
    matching = [p for p in pods if _serves(service, p)]
    by_ports: dict[str, tuple[Ports, list[Object]]] = {}
    for pod in sorted(matching, key=key):
        ports = _ports(service, pod)
        by_ports.setdefault(repr(ports), (ports, []))[1].append(_endpoint(service, pod))
    groups = [by_ports[ports] for ports in sorted(by_ports)] or [([], [])]
    return [_slice(service, number, *group) for number, group in enumerate(groups)]


def _serves(service: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return (
        key(pod)[0] == key(service)[0]
        and has_labels(labels, service["spec"]["selector"])
        and bool((pod.get("status") or {}).get("podIP"))
        and not is_finished(pod)
    )


def _endpoint(service: Object, pod: Object) -> Object:
    ready = is_ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))
    ending = is_terminating(pod)
    namespace, name = key(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not ending, "serving": ready, "terminating": ending},
        "nodeName": NODE,
        "targetRef": {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]},
    }


def _ports(service: Object, pod: Object) -> Ports:
    found = []
    for port in service["spec"].get("ports") or []:
        number = port_number(pod, port.get("targetPort", port["port"]))
        if number is not None:
            fresh = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            protocol = port.get("appProtocol")
            found.append(fresh | ({"appProtocol": protocol} if protocol else {}))
    return found


def port_number(pod: Object, target: int | str) -> int | None:
    """Where a port of the pod listens: a number, or a container port's name; None for an unknown name."""
    declared = [p for c in pod["spec"]["containers"] for p in c.get("ports") or []]
    if isinstance(target, str) and not target.isdigit():
        number = next((int(p["containerPort"]) for p in declared if p.get("name") == target), None)
        if number is None:
            return None
    else:
        number = int(target)
    return moved_ports(pod).get(number, number)


def moved_ports(pod: Object) -> dict[int, int]:
    """Declared port -> real port, where pods share one address; from the pod's own annotation."""
    text = (pod["metadata"].get("annotations") or {}).get(PORTS_ANNOTATION, "")
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return {int(declared): int(real) for declared, real in pairs}


def _slice(service: Object, number: int, ports: Ports, endpoints: list[Object]) -> Object:
    namespace, name = key(service)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{number}",
            "namespace": namespace,
            "labels": {
                **(service["metadata"].get("labels") or {}),
                SERVICE_NAME: name,
                MANAGED_BY: MANAGER,
            },
            "ownerReferences": [owner_reference("v1", "Service", service)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }
