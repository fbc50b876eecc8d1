"""managedFields: who set which field, kept with every write, and server-side apply on top of it.

Server-side apply here: create if missing, merge by list keys, 409 naming manager and field unless forced,
and removal of what the manager applied before and no longer does. Not here: conversion of field sets
between versions, and ownership of emptied parents.
"""

import json
from collections.abc import Iterator
from typing import Any

from guard.testing.cluster import statuses
from guard.testing.cluster.fields import Path, dotted, from_json, item_key, member, owned_leaves, to_json
from guard.testing.cluster.objects import Json, clone, metadata, name_of, timestamp
from guard.testing.cluster.requests import WriteOptions
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.schema import Schema, schema_of
from guard.testing.cluster.shaping import unknown_fields
from guard.testing.cluster.statuses import Cause

_ABSENT = object()


def _entries(document: Json | None) -> list[Json]:
    found = ((document or {}).get("metadata") or {}).get("managedFields") or []
    return [clone(entry) for entry in found if isinstance(entry, dict) and entry.get("fieldsV1")]


def _is_of(entry: Json, manager: str, operation: str, subresource: str) -> bool:
    found = (entry.get("manager"), entry.get("operation"), entry.get("subresource", ""))
    return found == (manager, operation, subresource)


def _with_fields(entry: Json, paths: set[Path]) -> Json | None:
    if from_json(entry["fieldsV1"]) == paths:
        return entry
    return entry | {"fieldsV1": to_json(paths)} if paths else None


def _entry(type_: ResourceType, manager: str, operation: str, subresource: str, paths: set[Path]) -> Json:
    entry: Json = {"manager": manager, "operation": operation, "apiVersion": type_.api_version}
    entry |= {"time": timestamp(), "fieldsType": "FieldsV1", "fieldsV1": to_json(paths)}
    return entry | {"subresource": subresource} if subresource else entry


def _replaced(entries: list[Json], new: Json, paths: set[Path]) -> list[Json]:
    """The entries with the one of `new`'s manager set to `paths`; its time stays when nothing changed."""
    identity = (new["manager"], new["operation"], new.get("subresource", ""))
    old = next((entry for entry in entries if _is_of(entry, *identity)), None)
    if old is not None and from_json(old["fieldsV1"]) == paths:
        return entries
    others = [entry for entry in entries if entry is not old]
    return [*others, new] if paths else others


def _leaves_of(type_: ResourceType, subresource: str, document: Json) -> dict[Path, Any]:
    """What a write to this endpoint can own: status on `/status`, everything else on the main one."""
    found = owned_leaves(schema_of(type_), document)
    if "status" not in type_.subresources:
        return found
    return {
        path: leaf for path, leaf in found.items() if (path[0] == "f:status") is (subresource == "status")
    }


def track(
    type_: ResourceType, old: Json | None, document: Json, options: WriteOptions, subresource: str
) -> Json:
    """Note in managedFields what a create, update or patch changed; edits `document`.

    Managed fields that the client sends count, as kubectl's move to server-side apply needs; a list of
    one empty entry clears them.
    """
    given = metadata(document).pop("managedFields", None)
    if given == [{}]:
        return document
    before = _leaves_of(type_, subresource, old or {})
    after = _leaves_of(type_, subresource, document)
    changed = {path for path, value in after.items() if before.get(path, _ABSENT) != value}
    removed = before.keys() - after.keys()
    kept, own = [], set(changed)
    for entry in _entries({"metadata": {"managedFields": given}} if given else old):
        paths = from_json(entry["fieldsV1"])
        if _is_of(entry, options.manager, "Update", subresource):
            own |= paths - removed
            kept.append(entry)
        elif (left := _with_fields(entry, paths - changed - removed)) is not None:
            kept.append(left)
    new = _entry(type_, options.manager, "Update", subresource, own)
    return _with_entries(document, _replaced(kept, new, own))


def _with_entries(document: Json, entries: list[Json]) -> Json:
    fields = metadata(document)
    fields.pop("managedFields", None)
    if entries:
        fields["managedFields"] = entries
    return document


def applied(
    type_: ResourceType, live: Json | None, config: Json, options: WriteOptions, subresource: str
) -> Json:
    """The object after one manager applied `config`, managedFields included; for a new one `live` is None.

    Raises:
        StatusError: 409 when another manager set a field that `config` sets otherwise, without force.
    """
    if (config.get("metadata") or {}).get("managedFields") is not None:
        raise statuses.bad_request("metadata.managedFields must be nil")
    schema = schema_of(type_)
    _check_typed(type_, schema, config)
    wanted = _leaves_of(type_, subresource, config)
    present = _leaves_of(type_, subresource, live or {})
    entries = _entries(live)
    mine = [entry for entry in entries if _is_of(entry, options.manager, "Apply", subresource)]
    others = [entry for entry in entries if entry not in mine]
    differing = {path for path, value in wanted.items() if present.get(path, value) != value}
    if not options.force:
        _refuse_conflicts(others, differing)
    kept = [
        left for entry in others if (left := _with_fields(entry, from_json(entry["fieldsV1"]) - differing))
    ]
    foreign = {path for entry in kept for path in from_json(entry["fieldsV1"])}
    before = {path for entry in mine for path in from_json(entry["fieldsV1"])}
    result = _merged(schema, live or {}, config)
    for path in sorted(before - wanted.keys() - foreign, key=len, reverse=True):
        _remove(schema, result, path, foreign)
    new = _entry(type_, options.manager, "Apply", subresource, set(wanted))
    return _with_entries(result, _replaced([*kept, *mine], new, set(wanted)))


def _check_typed(type_: ResourceType, schema: Schema, config: Json) -> None:
    """Refuse what has no place in the schema's sets of fields; raises StatusError."""
    unknown = unknown_fields(schema, config)
    if unknown:
        raise statuses.untyped(type_, name_of(config), f".{unknown[0]}: field not declared in schema")
    why = next(_keyless(schema, config), None)
    if why is not None:
        raise statuses.untyped(type_, name_of(config), why)


def _keyless(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Items of map lists that cannot be told apart."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _keyless(member(schema, name), item, f"{path}.{name}")
    elif isinstance(value, list):
        if schema.list_type == "map":
            yield from _unidentified(schema, [item for item in value if isinstance(item, dict)], path)
        for index, item in enumerate(value):
            yield from _keyless(schema.item(), item, f"{path}[{index}]")


def _unidentified(schema: Schema, items: list[Json], path: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(items):
        key = item_key(schema, item)
        if not any(name in item for name in schema.list_keys):
            lacks = f"omits all key fields {json.dumps(schema.list_keys)}"
            yield f"{path}: element {index}: associative list with keys has an element that {lacks}"
        if key in seen:
            yield f"{path}: duplicate entries for key {dotted((key,))}"
        seen.add(key)


def _refuse_conflicts(others: list[Json], differing: set[Path]) -> None:
    causes = [
        Cause("FieldManagerConflict", f"conflict with {_shown(entry)}", dotted(path))
        for entry in others
        for path in sorted(from_json(entry["fieldsV1"]) & differing)
    ]
    if causes:
        raise statuses.apply_conflict(causes)


def _shown(entry: Json) -> str:
    name = json.dumps(entry["manager"])
    if entry["operation"] == "Apply":
        return name
    return f"{name} using {entry['apiVersion']} at {entry.get('time', '')}"


def _merged(schema: Schema, live: Any, config: Any) -> Any:
    """Config over live: objects by member, map lists by key, sets by union, everything else replaced."""
    if isinstance(config, dict) and isinstance(live, dict) and not schema.is_atomic_map:
        both = {name: _merged(member(schema, name), live.get(name), value) for name, value in config.items()}
        return {**clone(live), **both}
    if isinstance(config, list) and isinstance(live, list) and schema.list_type == "map":
        by_key = {item_key(schema, item): item for item in live}
        for item in config:
            key = item_key(schema, item)
            by_key[key] = _merged(schema.item(), by_key.get(key), item)
        return list(clone(list(by_key.values())))
    if isinstance(config, list) and isinstance(live, list) and schema.list_type == "set":
        return [*live, *(item for item in config if item not in live)]
    return clone(config)


def _remove(schema: Schema, node: Any, path: Path, foreign: set[Path], done: Path = ()) -> None:
    """Take one field away, and the parents that it leaves empty; an item that others use stays."""
    element, rest = path[0], path[1:]
    here = (*done, element)
    if element == "." or not isinstance(node, dict | list):
        return
    if isinstance(node, dict):
        name = element[2:]
        if name in node and rest:
            _remove(member(schema, name), node[name], rest, foreign, here)
        if name in node and (not rest or node[name] in ({}, [])):
            del node[name]
    elif element.startswith("v:"):
        node[:] = [item for item in node if "v:" + json.dumps(item) != element]
    else:
        _remove_item(schema, node, path, foreign, done)


def _remove_item(schema: Schema, node: list[Any], path: Path, foreign: set[Path], done: Path) -> None:
    element, rest = path[0], path[1:]
    here = (*done, element)
    item = next((each for each in node if item_key(schema, each) == element), None)
    if item is None:
        return
    if rest == (".",):
        if not any(other[: len(here)] == here for other in foreign):
            node.remove(item)
    elif not (len(rest) == 1 and rest[0][2:] in schema.list_keys):
        _remove(schema.item(), item, rest, foreign, here)
