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
