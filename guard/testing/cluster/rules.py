"""Rules that no schema states: names, labels, immutable members, selectors that must fit their template.

A choice of those that Tidegate and its tools can run into, worded as kube-apiserver words them.
"""

import re
from typing import Any

from guard.testing.cluster.objects import Json, metadata, name_of
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.statuses import Cause

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character"
)
_LABEL_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_LABEL_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_FREE_NAMES = "rbac.authorization.k8s.io"  # names there are any path segment
_SELECTING = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"}

# Paths that may not change once set; metadata is guarded elsewhere.
_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName"),
    "Job": ("spec.selector", "spec.template", "spec.completions"),
    "Service": ("spec.clusterIP",),
}


def _at(document: Json | None, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _invalid(path: str, value: Any, complaint: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {value!r}: {complaint}".replace("'", '"', 2), path)


def _names(type_: ResourceType, document: Json) -> list[Cause]:
    name = name_of(document)
    fits = _SUBDOMAIN.match(name) is not None and len(name) <= 253
    return [] if fits or type_.group == _FREE_NAMES else [_invalid("metadata.name", name, _SUBDOMAIN_RULE)]


def _labels(document: Json) -> list[Cause]:
    labels = metadata(document).get("labels") or {}
    keys = [key for key in labels if not _is_label_key(key)]
    wrong = [text for text in labels.values() if not (_LABEL_VALUE.match(str(text)) and len(str(text)) < 64)]
    return [
        *(_invalid("metadata.labels", key, _LABEL_NAME_RULE) for key in keys),
        *(_invalid("metadata.labels", text, _LABEL_RULE) for text in wrong),
    ]


def _is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    fits = _LABEL_NAME.match(name) is not None and len(name) < 64
    return fits and (not slash or _SUBDOMAIN.match(prefix) is not None)


def _selectors(type_: ResourceType, document: Json) -> list[Cause]:
    if type_.group != "apps" or type_.kind not in _SELECTING:
        return []
    wanted = _at(document, "spec.selector.matchLabels") or {}
    labels = _at(document, "spec.template.metadata.labels") or {}
    if wanted.items() <= labels.items():
        return []
    complaint = "`selector` does not match template `labels`"
    return [_invalid("spec.template.metadata.labels", labels, complaint)]


def _immutable(type_: ResourceType, document: Json, old: Json | None) -> list[Cause]:
    paths = () if type_.custom or old is None else _IMMUTABLE.get(type_.kind, ())
    if type_.kind in ("Secret", "ConfigMap") and old is not None and old.get("immutable"):
        paths = ("data", "immutable")
    changed = [path for path in paths if _at(old, path) is not None and _at(old, path) != _at(document, path)]
    return [_invalid(path, _at(document, path), "field is immutable") for path in changed]


def _job_restarts(type_: ResourceType, document: Json) -> list[Cause]:
    if type_.kind != "Job" or type_.custom:
        return []
    policy = _at(document, "spec.template.spec.restartPolicy")
    if policy in ("OnFailure", "Never"):
        return []
    message = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
    return [Cause("FieldValueNotSupported", message, "spec.template.spec.restartPolicy")]


def broken(type_: ResourceType, document: Json, old: Json | None) -> list[Cause]:
    """The rules that the object breaks; `old` is its stored state, None when it is new."""
    causes = _names(type_, document) if old is None else []
    causes += _labels(document)
    causes += _selectors(type_, document)
    causes += _job_restarts(type_, document)
    return causes + _immutable(type_, document, old)
