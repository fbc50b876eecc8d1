"""How an object looks to one client: as itself, or as metadata only; Tables are in `tables.py`.

The store holds one form of each object. A request in another version sees that version's apiVersion.
"""

from typing import Protocol

from guard.testing.cluster.events import converted
from guard.testing.cluster.objects import Json
from guard.testing.cluster.requests import Call
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.tables import TableView

_META = "meta.k8s.io/v1"


class View(Protocol):
    """Shows objects of one type."""

    def one(self, document: Json) -> Json: ...
    def many(self, items: list[Json], fields: Json) -> Json: ...
    def event(self, document: Json) -> Json: ...
    def empty(self) -> Json: ...


class PlainView:
    """Objects as they are, in the version of the request."""

    def __init__(self, type_: ResourceType) -> None:
        self._type = type_

    def one(self, document: Json) -> Json:
        return converted(self._type, document)

    def many(self, items: list[Json], fields: Json) -> Json:
        shown = [self.one(item) for item in items]
        head = {"kind": self._type.list_kind_name, "apiVersion": self._type.api_version}
        return head | {"metadata": fields, "items": shown}

    def event(self, document: Json) -> Json:
        return self.one(document)

    def empty(self) -> Json:
        return {"kind": self._type.kind, "apiVersion": self._type.api_version}


class MetadataView:
    """PartialObjectMetadata, for clients that need no more (garbage collectors, informers of metadata)."""

    def one(self, document: Json) -> Json:
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": _META,
            "metadata": document.get("metadata", {}),
        }

    def many(self, items: list[Json], fields: Json) -> Json:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": fields}
        return head | {"items": [self.one(item) for item in items]}

    def event(self, document: Json) -> Json:
        return self.one(document)

    def empty(self) -> Json:
        return {"kind": "PartialObjectMetadata", "apiVersion": _META}


def wanted_view(type_: ResourceType, call: Call) -> View | None:
    """The first form in the client's Accept that this server has; None when it has none of them."""
    for accepted in call.accepts:
        media, _, parameters = accepted.partition(";")
        if media not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        if "as=Table" in parameters:
            return TableView(type_, call.query.get("includeObject", "Metadata"))
        if "as=PartialObjectMetadata" in parameters:  # and PartialObjectMetadataList
            return MetadataView()
        if "as=" not in parameters:
            return PlainView(type_)
    return None
