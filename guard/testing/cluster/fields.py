"""Sets of fields, as managedFields holds them (FieldsV1): which leaves of an object somebody owns.

A path is a tuple of `f:NAME` (member), `k:{...}` (item of a map list, by its keys), `v:VALUE` (item of a
set) and `.` (the item itself). Source: sigs.k8s.io/structured-merge-diff, whose rules these follow in the
simple cases: atomic lists and maps are leaves, everything else is owned member by member.
"""

import json
from typing import Any

from guard.testing.cluster.objects import Json
from guard.testing.cluster.schema import ANY, Schema

Path = tuple[str, ...]

_OWNED_METADATA = {"labels", "annotations", "finalizers", "ownerReferences"}


def item_key(schema: Schema, item: Json) -> str:
    """`k:{"name":"a"}`: the identity of an item in a map list; absent keys count with their default."""
    members = schema.item()
    values = {key: item.get(key, _default(members, key)) for key in sorted(schema.list_keys)}
    return "k:" + json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def _default(schema: Schema, key: str) -> Any:
    return ((schema.node.get("properties") or {}).get(key) or {}).get("default")


def member(schema: Schema, name: str) -> Schema:
    """A member's schema with its list markers; open where the member is unknown."""
    return schema.child(name) or ANY


def leaves(schema: Schema, value: Any, prefix: Path = ()) -> dict[Path, Any]:
    """Every leaf of the value with its path."""
    if isinstance(value, dict) and value and not schema.is_atomic_map:
        parts = (leaves(member(schema, name), item, (*prefix, f"f:{name}")) for name, item in value.items())
        return {path: leaf for part in parts for path, leaf in part.items()}
    if isinstance(value, list) and value and schema.list_type == "map":
        return _list_leaves(schema, value, prefix)
    if isinstance(value, list) and value and schema.list_type == "set":
        return {(*prefix, "v:" + json.dumps(item)): item for item in value}
    return {prefix: value}


def _list_leaves(schema: Schema, value: list[Any], prefix: Path) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for item in value:
        here = (*prefix, item_key(schema, item))
        found[(*here, ".")] = None
        found |= leaves(schema.item(), item, here)
    return found


def owned_leaves(schema: Schema, document: Json) -> dict[Path, Any]:
    """The leaves of an object that a manager can own: not its identity, not what the server keeps."""
    owned = {key: value for key, value in document.items() if key not in ("apiVersion", "kind", "metadata")}
    fields = document.get("metadata") or {}
    owned["metadata"] = {key: value for key, value in fields.items() if key in _OWNED_METADATA}
    if not owned["metadata"]:
        del owned["metadata"]
    return leaves(schema, owned) if owned else {}


def to_json(paths: set[Path]) -> Json:
    """FieldsV1."""
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    return tree


def from_json(tree: Json, prefix: Path = ()) -> set[Path]:
    """The paths of a FieldsV1; an owned empty object is a leaf."""
    if not tree:
        return {prefix} if prefix else set()
    return {path for element, below in tree.items() for path in from_json(below, (*prefix, element))}


def dotted(path: Path) -> str:
    """A path as people read it: `.spec.containers[name="app"].image`."""
    return "".join(_dotted_element(*element.partition(":")[::2]) for element in path if element != ".")


def _dotted_element(kind: str, text: str) -> str:
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(text).items()) + "]"
