"""kubectl's columns for built-in kinds. Source: k8s.io/kubernetes/pkg/printers/internalversion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guard.testing.cluster.human import age, duration, instant
from guard.testing.cluster.jsonpath import find
from guard.testing.cluster.objects import Json

Cell = Callable[[Json], Any]


@dataclass(frozen=True)
class Column:
    """One column; `wide` ones show under `-o wide` only."""

    name: str
    cell: Cell
    kind: str = "string"
    wide: bool = False


def at(path: str, absent: Any = "<none>") -> Cell:
    """The first value at a path, or `absent`."""
    return lambda document: next((value for value in find(path, document) if value not in (None, "")), absent)


def _joined(path: str) -> Cell:
    return lambda document: ",".join(str(value) for value in find(path, document)) or "<none>"


def _pairs(path: str) -> Cell:
    def cell(document: Json) -> str:
        found = next(iter(find(path, document)), None) or {}
        return ",".join(f"{key}={value}" for key, value in sorted(found.items())) or "<none>"

    return cell


NAME = Column("Name", at(".metadata.name"))
AGE = Column("Age", lambda document: age((document.get("metadata") or {}).get("creationTimestamp")))


def _number(name: str, path: str) -> Column:
    return Column(name, at(path, 0), "integer")


def _text(name: str, path: str, *, wide: bool = False) -> Column:
    return Column(name, at(path), wide=wide)


def _ready_of(have: str, want: str) -> Column:
    return Column("Ready", lambda document: f"{at(have, 0)(document)}/{at(want, 0)(document)}")


def _pod_ready(pod: Json) -> str:
    statuses = find(".status.containerStatuses[*].ready", pod)
    return f"{sum(map(bool, statuses))}/{len(find('.spec.containers[*].name', pod))}"


def _pod_status(pod: Json) -> str:
    """The most telling reason: a waiting or ended container's before the phase."""
    reason = at(".status.reason", "")(pod) or at(".status.phase", "Unknown")(pod)
    for status in find(".status.containerStatuses[*]", pod):
        state = status.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
    return "Terminating" if (pod.get("metadata") or {}).get("deletionTimestamp") else str(reason)


def _pod_restarts(pod: Json) -> str:
    count = sum(find(".status.containerStatuses[*].restartCount", pod))
    ends = find(".status.containerStatuses[*].lastState.terminated.finishedAt", pod)
    return f"{count} ({age(max(ends))} ago)" if count and ends else str(count)


def _service_ports(service: Json) -> str:
    def port(row: Json) -> str:
        node = f":{row['nodePort']}" if row.get("nodePort") else ""
        return f"{row.get('port')}{node}/{row.get('protocol', 'TCP')}"

    return ",".join(map(port, find(".spec.ports[*]", service))) or "<none>"


def _external(service: Json) -> str:
    kind = at(".spec.type")(service)
    if kind == "ExternalName":
        return str(at(".spec.externalName")(service))
    pending = "<pending>" if kind == "LoadBalancer" else "<none>"
    return ",".join(find(".status.loadBalancer.ingress[*].ip", service)) or pending


def _job_status(job: Json) -> str:
    current = {row.get("type") for row in find(".status.conditions[*]", job) if row.get("status") == "True"}
    named = (name for name in ("Complete", "Failed", "Suspended", "FailureTarget") if name in current)
    return next(named, "Running")


def _job_duration(job: Json) -> str:
    begin, end = instant(at(".status.startTime", "")(job)), instant(at(".status.completionTime", "")(job))
    if begin is None:
        return ""
    return duration((end - begin).total_seconds()) if end else age(at(".status.startTime")(job))


def _node_status(node: Json) -> str:
    return "Ready" if find('.status.conditions[?(@.type=="Ready")].status', node) == ["True"] else "NotReady"


def _last_seen(event: Json) -> str:
    paths = (".series.lastObservedTime", ".lastTimestamp", ".eventTime", ".metadata.creationTimestamp")
    return age(next((stamp for path in paths for stamp in find(path, event) if stamp), None))


def _event_object(event: Json) -> str:
    return f"{at('.involvedObject.kind', '')(event).lower()}/{at('.involvedObject.name', '')(event)}"


def _count(*members: str) -> Cell:
    return lambda document: sum(len(document.get(member) or {}) for member in members)


def _template(path: str = ".spec.template.spec") -> list[Column]:
    return [
        Column("Containers", _joined(f"{path}.containers[*].name"), wide=True),
        Column("Images", _joined(f"{path}.containers[*].image"), wide=True),
        Column("Selector", _pairs(".spec.selector.matchLabels"), wide=True),
    ]


COLUMNS: dict[tuple[str, str], list[Column]] = {
    ("", "Pod"): [
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        AGE,
        _text("IP", ".status.podIP", wide=True),
        _text("Node", ".spec.nodeName", wide=True),
        _text("Nominated Node", ".status.nominatedNodeName", wide=True),
        Column("Readiness Gates", lambda pod: "<none>", wide=True),
    ],
    ("apps", "Deployment"): [
        NAME,
        _ready_of(".status.readyReplicas", ".spec.replicas"),
        _number("Up-to-date", ".status.updatedReplicas"),
        _number("Available", ".status.availableReplicas"),
        AGE,
        *_template(),
    ],
    ("apps", "ReplicaSet"): [
        NAME,
        _number("Desired", ".spec.replicas"),
        _number("Current", ".status.replicas"),
        _number("Ready", ".status.readyReplicas"),
        AGE,
        *_template(),
    ],
    ("apps", "StatefulSet"): [
        NAME,
        _ready_of(".status.readyReplicas", ".spec.replicas"),
        AGE,
        *_template()[:2],
    ],
    ("apps", "DaemonSet"): [
        NAME,
        _number("Desired", ".status.desiredNumberScheduled"),
        _number("Current", ".status.currentNumberScheduled"),
        _number("Ready", ".status.numberReady"),
        AGE,
        *_template(),
    ],
    ("", "Service"): [
        NAME,
        _text("Type", ".spec.type"),
        _text("Cluster-IP", ".spec.clusterIP"),
        Column("External-IP", _external),
        Column("Port(s)", _service_ports),
        AGE,
        Column("Selector", _pairs(".spec.selector"), wide=True),
    ],
    ("", "Namespace"): [NAME, _text("Status", ".status.phase"), AGE],
    ("", "ConfigMap"): [NAME, Column("Data", _count("data", "binaryData"), "integer"), AGE],
    ("", "Secret"): [NAME, _text("Type", ".type"), Column("Data", _count("data"), "integer"), AGE],
    ("", "Endpoints"): [NAME, Column("Endpoints", _joined(".subsets[*].addresses[*].ip")), AGE],
    ("", "Node"): [
        NAME,
        Column("Status", _node_status),
        Column("Roles", lambda node: "<none>"),
        AGE,
        _text("Version", ".status.nodeInfo.kubeletVersion"),
    ],
    ("", "Event"): [
        Column("Last Seen", _last_seen),
        _text("Type", ".type"),
        _text("Reason", ".reason"),
        Column("Object", _event_object),
        Column("Message", lambda event: str(event.get("message") or "").strip()),
        Column("Name", at(".metadata.name"), wide=True),
    ],
    ("batch", "Job"): [
        NAME,
        Column("Status", _job_status),
        Column(
            "Completions", lambda job: f"{at('.status.succeeded', 0)(job)}/{at('.spec.completions', 1)(job)}"
        ),
        Column("Duration", _job_duration),
        AGE,
        *_template(),
    ],
    ("batch", "CronJob"): [
        NAME,
        _text("Schedule", ".spec.schedule"),
        Column("Timezone", at(".spec.timeZone")),
        Column("Suspend", lambda job: str(bool(at(".spec.suspend", False)(job)))),
        Column("Active", lambda job: len(find(".status.active[*]", job)), "integer"),
        Column("Last Schedule", lambda job: age(at(".status.lastScheduleTime", None)(job))),
        AGE,
    ],
    ("discovery.k8s.io", "EndpointSlice"): [
        NAME,
        _text("AddressType", ".addressType"),
        Column("Ports", _joined(".ports[*].port")),
        Column("Endpoints", _joined(".endpoints[*].addresses[*]")),
        AGE,
    ],
    ("coordination.k8s.io", "Lease"): [NAME, _text("Holder", ".spec.holderIdentity"), AGE],
    ("networking.k8s.io", "Ingress"): [
        NAME,
        _text("Class", ".spec.ingressClassName"),
        Column("Hosts", _joined(".spec.rules[*].host")),
        Column("Address", _joined(".status.loadBalancer.ingress[*].ip")),
        AGE,
    ],
    ("apiextensions.k8s.io", "CustomResourceDefinition"): [
        NAME,
        _text("Created At", ".metadata.creationTimestamp"),
    ],
}
COLUMNS["events.k8s.io", "Event"] = COLUMNS["", "Event"]
