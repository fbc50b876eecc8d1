"""The scale subresource: a workload's replicas as autoscaling/v1 Scale."""

from typing import Any

from guard.testing.cluster.objects import Json, clone
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.statuses import Cause, StatusError, invalid

_PATHS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def _read(document: Json, path: str) -> Any:
    value: Any = document
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _selector(type_: ResourceType, document: Json) -> str:
    if type_.scale is not None:
        path = type_.scale.get("labelSelectorPath")
        return str(_read(document, path) or "") if path else ""
    labels = _read(document, "spec.selector.matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def scale_of(type_: ResourceType, document: Json) -> Json:
    """The object seen as a Scale."""
    paths = _PATHS | (type_.scale or {})
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status = {"replicas": _read(document, paths["statusReplicasPath"]) or 0}
    if text := _selector(type_, document):
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: value for key, value in document["metadata"].items() if key in kept},
        "spec": {"replicas": _read(document, paths["specReplicasPath"]) or 0},
        "status": status,
    }


def scaled(type_: ResourceType, document: Json, scale: Json) -> Json:
    """The object with the replicas and the revision of a changed Scale.

    Raises:
        StatusError: 422 for replicas that are no count.
    """
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise _not_a_count(type_, document, replicas)
    result: Json = clone(document)
    parts = (_PATHS | (type_.scale or {}))["specReplicasPath"].strip(".").split(".")
    node = result
    for part in parts[:-1]:
        node = node.setdefault(part, {})
    node[parts[-1]] = replicas
    revision = (scale.get("metadata") or {}).get("resourceVersion")
    if revision:
        result["metadata"]["resourceVersion"] = revision
    return result


def _not_a_count(type_: ResourceType, document: Json, replicas: Any) -> StatusError:
    message = f"Invalid value: {replicas}: must be greater than or equal to 0"
    return invalid(
        type_, document["metadata"]["name"], [Cause("FieldValueInvalid", message, "spec.replicas")]
    )
