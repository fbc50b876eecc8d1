"""Tables: the rows and columns that kubectl asks the server for."""

from typing import Any

from guard.testing.cluster.columns import AGE, COLUMNS, NAME, Column
from guard.testing.cluster.human import age
from guard.testing.cluster.jsonpath import find
from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import dump
from guard.testing.cluster.resources import ResourceType

_META = "meta.k8s.io/v1"


def _custom_cell(column: Json, document: Json) -> Any:
    """The first value at the column's path, as its type prints; None is shown as blank."""
    found = find(column["jsonPath"], document)
    if not found or found[0] is None:
        return None
    kind, value = column.get("type", "string"), found[0]
    if kind == "date":
        return age(value)
    if kind == "string" and not isinstance(value, str):
        return dump(value).decode()
    return value


def _custom_columns(type_: ResourceType) -> list[tuple[Json, Any]]:
    if not type_.columns:
        return [_definition(NAME), _definition(AGE)]
    rows = [_definition(NAME)]
    for column in type_.columns:
        head = {"name": column["name"], "type": column.get("type", "string")}
        head |= {"format": column.get("format", ""), "priority": column.get("priority", 0)}
        head["description"] = column.get("description", "")
        rows.append((head, lambda document, column=column: _custom_cell(column, document)))
    return rows


def _definition(column: Column) -> tuple[Json, Any]:
    form = "name" if column.name == "Name" else ""
    head = {"name": column.name, "type": column.kind, "format": form, "description": ""}
    return head | {"priority": int(column.wide)}, column.cell


def _columns(type_: ResourceType) -> list[tuple[Json, Any]]:
    if type_.custom:
        return _custom_columns(type_)
    return [_definition(column) for column in COLUMNS.get((type_.group, type_.kind), [NAME, AGE])]


class TableView:
    """Shows objects of one type as rows; in a watch the columns come with the first event only.

    Args:
        include: What a row carries beside its cells: `Metadata`, `Object` or `None`.
    """

    def __init__(self, type_: ResourceType, include: str) -> None:
        self._columns = _columns(type_)
        self._type = type_
        self._include = include
        self._announced = False

    def _row(self, document: Json) -> Json:
        row: Json = {"cells": [cell(document) for _, cell in self._columns]}
        if self._include == "Object":
            row["object"] = document
        elif self._include != "None":
            head = {"kind": "PartialObjectMetadata", "apiVersion": _META}
            row["object"] = head | {"metadata": document.get("metadata", {})}
        return row

    def many(self, items: list[Json], fields: Json) -> Json:
        columns = [head for head, _ in self._columns]
        table: Json = {"kind": "Table", "apiVersion": _META, "metadata": fields}
        return table | {"columnDefinitions": columns, "rows": [self._row(item) for item in items]}

    def one(self, document: Json) -> Json:
        revision = (document.get("metadata") or {}).get("resourceVersion", "")
        return self.many([document], {"resourceVersion": revision})

    def event(self, document: Json) -> Json:
        table = self.one(document)
        if self._announced:
            table["columnDefinitions"] = None
        self._announced = True
        return table

    def empty(self) -> Json:
        return {"kind": self._type.kind, "apiVersion": self._type.api_version}
