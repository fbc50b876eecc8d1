"""What a schema does to an object before anyone judges it: unknown members go, defaults come."""

from typing import Any

from guard.testing.cluster.objects import clone
from guard.testing.cluster.schema import Schema


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def unknown_fields(schema: Schema, value: Any, path: str = "") -> list[str]:
    """Paths of members that the schema does not know, in document order."""
    if isinstance(value, list):
        item = schema.item()
        return [found for i, each in enumerate(value) for found in unknown_fields(item, each, f"{path}[{i}]")]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for name, member in value.items():
        child = schema.child(name)
        found += [join(path, name)] if child is None else unknown_fields(child, member, join(path, name))
    return found


def pruned(schema: Schema, value: Any) -> Any:
    """The value without unknown members."""
    if isinstance(value, list):
        return [pruned(schema.item(), item) for item in value]
    if not isinstance(value, dict):
        return value
    children = ((name, schema.child(name), member) for name, member in value.items())
    return {name: pruned(child, member) for name, child, member in children if child is not None}


def without_idle_nulls(schema: Schema, value: Any) -> Any:
    """The value without null members that the schema knows, does not allow to be null and has no default for.

    Custom resources alone: in built-in kinds every null goes. Nulls in lists stay, and are refused later.
    """
    if isinstance(value, list):
        return [without_idle_nulls(schema.item(), item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: member for name, member in value.items() if member is not None or not _idle(schema, name)}
    children = ((name, schema.child(name), member) for name, member in kept.items())
    return {
        name: member if child is None else without_idle_nulls(child, member)
        for name, child, member in children
    }


def _idle(schema: Schema, name: str) -> bool:
    child = schema.properties.get(name)
    return child is not None and not child.node.get("nullable") and _default_of(schema, name, child) is None


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with the schema's defaults for absent members, those of new members included.

    A null for a member that has a default and may not be null counts as absent.
    """
    if isinstance(value, list):
        return [defaulted(schema.item(), item) for item in value]
    if not isinstance(value, dict):
        return value
    result = dict(value)
    for name, child in schema.properties.items():
        absent = name not in result or (result[name] is None and not child.node.get("nullable"))
        if absent and _default_of(schema, name, child) is not None:
            result[name] = clone(_default_of(schema, name, child))
    children = ((name, schema.child(name), member) for name, member in result.items())
    return {name: member if child is None else defaulted(child, member) for name, child, member in children}


def _default_of(schema: Schema, name: str, child: Schema) -> Any:
    """A default stands beside a reference in built-in schemas, and inside the member in custom ones."""
    beside = schema.node["properties"][name].get("default")
    return child.default if beside is None else beside
