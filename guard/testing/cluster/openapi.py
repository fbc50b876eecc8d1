"""OpenAPI, so far as clients need it: schemas with group-version-kinds, and what PATCH accepts.

v3 is whole for every kind; kubectl reads from it that fields are validated by the server. v2 has the
same schemas as JSON definitions. Built-in kinds do not offer a strategic merge patch here, although the
server takes it: kubectl then computes such patches from its own types, which know every merge key.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from guard.testing.cluster.builtin_schema import DEFINITIONS, model_name
from guard.testing.cluster.objects import Json
from guard.testing.cluster.patching import APPLY_PATCH, JSON_PATCH, MERGE_PATCH
from guard.testing.cluster.replies import dump
from guard.testing.cluster.resources import Catalog, ResourceType
from guard.testing.cluster.schema import schema_of

_INFO = {"title": "Kubernetes", "version": "v1.37.1"}
_KIND = "x-kubernetes-group-version-kind"


def _kind(type_: ResourceType) -> Json:
    return {"group": type_.group, "version": type_.version, "kind": type_.kind}


def _schema_name(type_: ResourceType) -> str:
    reversed_group = ".".join(reversed((type_.group or "core").split(".")))
    return f"{reversed_group}.{type_.version}.{type_.kind}"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _moved(node: Any, prefix: str) -> Any:
    """The node with its references below `prefix`."""
    if isinstance(node, dict):
        moved = {key: _moved(value, prefix) for key, value in node.items()}
        if isinstance(node.get("$ref"), str):
            moved["$ref"] = prefix + node["$ref"].rpartition("/")[2]
        return moved
    return [_moved(item, prefix) for item in node] if isinstance(node, list) else node


def _schemas(types: list[ResourceType], prefix: str) -> Json:
    """The types' schemas and everything that they refer to."""
    found: Json = {}
    for type_ in types:
        found[_schema_name(type_)] = schema_of(type_).node | {_KIND: [_kind(type_)]}
    waiting = [name for node in found.values() for name in _references(node)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = DEFINITIONS[name]
            waiting += _references(found[name])
    return {name: _moved(node, prefix) for name, node in found.items()}


def _paths(type_: ResourceType) -> Iterator[tuple[str, Json]]:
    base = f"/apis/{type_.group}/{type_.version}" if type_.group else f"/api/{type_.version}"
    scope = "/namespaces/{namespace}" if type_.namespaced else ""
    options = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation")
    ]
    content = {kind: {"schema": {"type": "object"}} for kind in (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)}
    common: Json = {_KIND: _kind(type_), "responses": {"200": {"description": "OK"}}, "parameters": options}
    patch = {"x-kubernetes-action": "patch", "requestBody": {"content": content, "required": True}}
    yield f"{base}{scope}/{type_.plural}", {"post": common | {"x-kubernetes-action": "post"}}
    yield f"{base}{scope}/{type_.plural}/{{name}}", {"patch": common | patch, "put": common}


def _members(catalog: Catalog, group: str, version: str) -> list[ResourceType]:
    return [row for row in catalog if (row.group, row.version) == (group, version)]


def version3(catalog: Catalog, group: str, version: str) -> Json | None:
    """`/openapi/v3/apis/GROUP/VERSION`; None when nothing is served there."""
    types = _members(catalog, group, version)
    if not types:
        return None
    paths = {path: item for type_ in types for path, item in _paths(type_)}
    schemas = _schemas(types, "#/components/schemas/")
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def version3_index(catalog: Catalog) -> Json:
    """`/openapi/v3`: the documents, each with a hash that changes with it."""
    paths = {}
    for group, version in dict.fromkeys((row.group, row.version) for row in catalog):
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        members = [(row.plural, row.schema) for row in _members(catalog, group, version)]
        digest = hashlib.sha256(dump(members)).hexdigest()[:32].upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def version2(catalog: Catalog) -> Json:
    """`/openapi/v2` as JSON."""
    types = [row for row in catalog if row.custom or model_name(row.group, row.version, row.kind)]
    paths = {path: item for type_ in types for path, item in _paths(type_)}
    definitions = _schemas(types, "#/definitions/")
    return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": definitions}
