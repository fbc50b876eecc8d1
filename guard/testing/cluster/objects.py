"""Kubernetes objects as plain JSON: copying, time stamps and the few places that every kind has.

Objects that reached the store are never edited in place, so that a watch can still show what was true at
a revision; whoever wants to change one makes a `clone` first.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]


def clone(value: Any) -> Any:
    """Deep copy of a JSON value, about four times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def timestamp(ahead_seconds: float = 0) -> str:
    """Now, or a little later, as metav1.Time writes it: UTC in whole seconds."""
    return (datetime.now(UTC) + timedelta(seconds=ahead_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(document: Json) -> Json:
    """The object's metadata, created when absent; the object changes with it."""
    found = document.get("metadata")
    if not isinstance(found, dict):
        found = document["metadata"] = {}
    return found


def name_of(document: Json) -> str:
    return str((document.get("metadata") or {}).get("name") or "")


def namespace_of(document: Json) -> str:
    return str((document.get("metadata") or {}).get("namespace") or "")


def revision_of(document: Json) -> int:
    return int((document.get("metadata") or {}).get("resourceVersion") or 0)


def is_terminating(document: Json) -> bool:
    return bool((document.get("metadata") or {}).get("deletionTimestamp"))


def without_nulls(value: Any) -> Any:
    """The value without null members: for built-in kinds, null is the same as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
