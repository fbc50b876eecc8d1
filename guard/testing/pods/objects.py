"""Questions that controllers ask of Kubernetes objects: who owns it, does a selector match, is it ready.

Pure functions over dicts; knows no server and no process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from guard.adapters.kubernetes.client import Object

NODE = "local"


@dataclass(frozen=True)
class Snapshot:
    """What the API held when a pass began; only LocalPods itself makes or deletes pods and ReplicaSets."""

    deployments: Sequence[Object]
    replica_sets: Sequence[Object]
    pods: Sequence[Object]
    jobs: Sequence[Object]
    services: Sequence[Object]
    slices: Sequence[Object]


def key(item: Object) -> tuple[str, str]:
    """(namespace, name)."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def uid(item: Object) -> str:
    return str(item["metadata"]["uid"])


def timestamp(unix_seconds: float) -> str:
    """RFC 3339 in whole seconds, as the API server writes it."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(rfc3339: str) -> float:
    """Unix seconds."""
    return datetime.fromisoformat(rfc3339).timestamp()


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches; an absent or empty one matches nothing here, as workloads mean it."""
    if not selector:
        return False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    return has_labels(labels, wanted) and all(_meets(labels, e) for e in expressions)


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _meets(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    name, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(name) in values
        case "NotIn":
            return labels.get(name) not in values
        case "Exists":
            return name in labels
        case "DoesNotExist":
            return name not in labels
    return False


def controller_uid(item: Object) -> str | None:
    """The uid of the object that made this one; None for what a user made."""
    for reference in item["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference["uid"])
    return None


def owned(items: Iterable[Object], owner: Object) -> list[Object]:
    return [item for item in items if controller_uid(item) == uid(owner)]


def owner_reference(api_version: str, kind: str, owner: Object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_terminating(item: Object) -> bool:
    return "deletionTimestamp" in item["metadata"]


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def condition(item: Object, kind: str) -> Object | None:
    conditions: list[Object] = (item.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), None)


def is_ready(pod: Object) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def is_available(pod: Object, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least that long."""
    found = condition(pod, "Ready")
    if found is None or found["status"] != "True" or is_terminating(pod):
        return False
    return min_ready_seconds == 0 or now - seconds_of(found["lastTransitionTime"]) >= min_ready_seconds


def with_conditions(
    current: Sequence[Object], wanted: Mapping[str, tuple[str, str, str]], now: float, stamp: str = ""
) -> list[Object]:
    """The conditions to write: `wanted` is type -> (status, reason, message).

    lastTransitionTime moves only when the status does; `stamp` names a second time field (Deployments'
    `lastUpdateTime`) that moves with any change.
    """
    before = {c["type"]: c for c in current}
    result = []
    for kind, (status, reason, message) in wanted.items():
        old = before.get(kind, {})
        fresh: Object = {"type": kind, "status": status}
        fresh |= {name: text for name, text in (("reason", reason), ("message", message)) if text}
        same = old.get("status") == status
        fresh["lastTransitionTime"] = old["lastTransitionTime"] if same else timestamp(now)
        if stamp:
            changed = any(old.get(name) != fresh.get(name) for name in ("status", "reason", "message"))
            fresh[stamp] = timestamp(now) if changed else old[stamp]
        result.append(fresh)
    return result


def differs(current: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether writing `wanted` into `current` would change anything; absent and zero are the same count."""
    held = current or {}
    return any((held.get(name) or None) != (value or None) for name, value in wanted.items())
