"""Label and field selectors: text in, predicate out.

Labels know every operator of the API; fields know `=`, `==` and `!=` on the paths that a kind has indexed.
"""

import re
from collections.abc import Callable

from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.statuses import bad_request

Predicate = Callable[[Json], bool]

_EVERY_KIND = frozenset({"metadata.name", "metadata.namespace"})
# Source: the label conversions of k8s.io/kubernetes, pkg/apis/*/v1/conversion.go. A custom kind may name
# more in its definition (`selectableFields`).
_INDEXED: dict[str, set[str]] = {
    "Pod": {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    },
    "Event": {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    },
    "Namespace": {"status.phase"},
    "Node": {"spec.unschedulable"},
    "Secret": {"type"},
    "Service": {"spec.clusterIP", "spec.type"},
    "ReplicationController": {"status.replicas"},
    "ReplicaSet": {"status.replicas"},
    "Job": {"status.successful"},
}

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARE = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s=!<>]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[A-Za-z0-9][-A-Za-z0-9_./]*)$")


def _clauses(text: str) -> list[str]:
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _compare(operator: str, actual: str | None, wanted: str) -> bool:
    if operator in ("=", "=="):
        return actual == wanted
    if operator == "!=":
        return actual != wanted
    try:
        left, right = int(actual or ""), int(wanted)
    except ValueError:
        return False
    return left > right if operator == ">" else left < right


def _label_clause(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.match(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _COMPARE.match(text):
        key, operator, wanted = match["key"], match["op"], match["value"]
        return lambda labels: _compare(operator, labels.get(key), wanted)
    if match := _EXISTS.match(text):
        key, present = match["key"], not match["no"]
        return lambda labels: (key in labels) is present
    raise bad_request(
        f"unable to parse requirement: found {text!r}, expected: one of in, notin, =, ==, !=, gt, lt"
    )


def label_selector(text: str) -> Predicate:
    """Predicate for a `labelSelector`; every object matches an empty one."""
    clauses = [_label_clause(part) for part in _clauses(text)]

    def matches(document: Json) -> bool:
        labels = (document.get("metadata") or {}).get("labels") or {}
        return all(clause(labels) for clause in clauses)

    return matches


def _field(document: Json, path: str) -> str:
    value: object = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _field_clause(type_: ResourceType, text: str) -> Predicate:
    match = _COMPARE.match(text)
    if match is None or match["op"] in ("<", ">"):
        raise bad_request(f"invalid selector: {text!r}; can't understand {text!r}")
    path, equal, wanted = match["key"], match["op"] != "!=", match["value"]
    if path not in _EVERY_KIND | _indexed(type_):
        raise bad_request(f"field label not supported: {path}")
    return lambda document: (_field(document, path) == wanted) is equal


def _indexed(type_: ResourceType) -> set[str]:
    return set(type_.selectable) if type_.custom else _INDEXED.get(type_.kind, set())


def field_selector(type_: ResourceType, text: str) -> Predicate:
    """Predicate for a `fieldSelector`; an absent field reads as the empty string."""
    clauses = [_field_clause(type_, part) for part in _clauses(text)]
    return lambda document: all(clause(document) for clause in clauses)


def selector(type_: ResourceType, labels: str, fields: str) -> Predicate:
    """Both at once.

    Raises:
        StatusError: 400, it does not parse, or names a field that the kind has not indexed.
    """
    by_label, by_field = label_selector(labels), field_selector(type_, fields)
    return lambda document: by_label(document) and by_field(document)
