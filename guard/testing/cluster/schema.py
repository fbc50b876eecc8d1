"""Schemas as the server reads them: one small reader over OpenAPI v3, for built-in and custom kinds.

Owns references, open objects and the list types. Custom kinds bring their schema in their definition;
built-in kinds get theirs from `builtin_schema.py`. Everything that treats objects by schema (pruning,
defaults, validation, strategic merge, server-side apply, OpenAPI) walks with this reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.testing.cluster.builtin_schema import DEFINITIONS, model_name
from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import ResourceType

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"


@dataclass(frozen=True)
class Schema:
    """One node of a schema; `#/definitions/NAME` references are followed."""

    node: Json
    definitions: Mapping[str, Json]

    def _at(self, node: Json) -> "Schema":
        reference = node.get("$ref")
        resolved = self.definitions[reference.rpartition("/")[2]] if reference else node
        return Schema(resolved, self.definitions)

    @property
    def is_open(self) -> bool:
        """Whether members without a schema are kept."""
        return bool(
            self.node.get(PRESERVE)
            or self.node.get("x-kubernetes-embedded-resource")
            or not ({"type", "properties", "items", INT_OR_STRING} & self.node.keys())
        )

    def child(self, name: str) -> "Schema | None":
        """The schema of a member; an open one where anything goes, None where it is unknown."""
        found = (self.node.get("properties") or {}).get(name)
        if found is not None:
            return self._at(found)
        more = self.node.get("additionalProperties")
        if isinstance(more, dict):
            return self._at(more)
        return ANY if more is True or self.is_open else None

    def item(self) -> "Schema":
        """The schema of a list's items."""
        items = self.node.get("items")
        return self._at(items) if isinstance(items, dict) else ANY

    @property
    def properties(self) -> dict[str, "Schema"]:
        return {name: self._at(node) for name, node in (self.node.get("properties") or {}).items()}

    @property
    def list_type(self) -> str:
        """`map`, `set` or `atomic`."""
        return str(self.node.get("x-kubernetes-list-type") or "atomic")

    @property
    def list_keys(self) -> list[str]:
        """The members that identify an item of a `map` list."""
        return list(self.node.get("x-kubernetes-list-map-keys") or [])

    @property
    def merge_key(self) -> str:
        """Strategic merge: the member that identifies an item; empty where lists replace each other."""
        return str(self.node.get("x-kubernetes-patch-merge-key") or "")

    @property
    def merges(self) -> bool:
        """Strategic merge: whether the items of two lists are merged."""
        return "merge" in str(self.node.get("x-kubernetes-patch-strategy") or "")

    @property
    def default(self) -> Any:
        return self.node.get("default")

    @property
    def is_atomic_map(self) -> bool:
        return self.node.get("x-kubernetes-map-type") == "atomic"


ANY = Schema({PRESERVE: True}, {})


def schema_of(type_: ResourceType) -> Schema:
    """The whole object's schema; open where nothing is known."""
    if not type_.custom:
        name = model_name(type_.group, type_.version, type_.kind)
        return Schema(DEFINITIONS[name], DEFINITIONS) if name else ANY
    node = type_.schema or {PRESERVE: True}
    common = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "#/definitions/V1ObjectMeta"},
    }
    return Schema(node | {"properties": (node.get("properties") or {}) | common}, DEFINITIONS)
