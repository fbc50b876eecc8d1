"""Tables, as kubectl prints them."""

from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import ResourceType


class TableView:
    """Rows."""

    def __init__(self, type_: ResourceType, include: str) -> None:
        self._type = type_

    def one(self, document: Json) -> Json:
        return document

    def many(self, items: list[Json], fields: Json) -> Json:
        head = {"kind": self._type.list_kind_name, "apiVersion": self._type.api_version}
        return head | {"metadata": fields, "items": items}

    def event(self, document: Json) -> Json:
        return document

    def empty(self) -> Json:
        return {"kind": self._type.kind, "apiVersion": self._type.api_version}
