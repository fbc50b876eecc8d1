"""Judging an object by its schema, in the API server's words.

Knows the keywords that structural schemas may have. CEL rules are NOT evaluated; a pattern that Python's
regular expressions cannot read is not checked.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from guard.testing.cluster.schema import INT_OR_STRING, Schema
from guard.testing.cluster.shaping import join
from guard.testing.cluster.statuses import Cause

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_FORMATS = {
    "date-time": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "uuid": r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
    "ipv4": r"^(\d{1,3}\.){3}\d{1,3}$",
}


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    return next(name for name, types in _TYPES.items() if _is(value, name, types))


def _is(value: Any, name: str, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer() and abs(value) < 2**63
    return isinstance(value, types)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _invalid(path: str, value: Any, complaint: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {path} in body {complaint}", path)


def _wrong_type(path: str, value: Any, wanted: str) -> Cause:
    given = _type_name(value)
    message = f'Invalid value: "{given}": {path or "value"} in body must be of type {wanted}: "{given}"'
    return Cause("FieldValueTypeInvalid", message, path)


def violations(schema: Schema, value: Any, path: str = "") -> list[Cause]:
    """Everything that the schema refuses, in document order; a wrong type hides what is below it."""
    node = schema.node
    if value is None and (node.get("nullable") or schema.is_open):
        return []
    wanted = node.get("type")
    if node.get(INT_OR_STRING):
        fits = isinstance(value, int | float | str) and not isinstance(value, bool)
        return [] if fits else [_wrong_type(path, value, "integer,string")]
    if wanted and not _is(value, wanted, _TYPES[wanted]):
        return [_wrong_type(path, value, wanted)]
    causes = list(_of_value(node, value, path))
    if isinstance(value, dict):
        causes += _of_object(schema, value, path)
    elif isinstance(value, list):
        causes += _of_list(schema, value, path)
    return causes + list(_combined(schema, value, path))


def _of_value(node: dict[str, Any], value: Any, path: str) -> Iterator[Cause]:
    if "enum" in node and value not in node["enum"]:
        listed = ", ".join(_shown(item) for item in node["enum"])
        message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
        yield Cause("FieldValueNotSupported", message, path)
    if isinstance(value, str):
        yield from _of_string(node, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _of_number(node, value, path)


def _of_string(node: dict[str, Any], value: str, path: str) -> Iterator[Cause]:
    if len(value) < node.get("minLength", 0):
        yield _invalid(path, value, f"should be at least {node['minLength']} chars long")
    if "maxLength" in node and len(value) > node["maxLength"]:
        message = f"Too long: may not be more than {node['maxLength']} bytes"
        yield Cause("FieldValueTooLong", message, path)
    if "pattern" in node and not _matches(node["pattern"], value):
        yield _invalid(path, value, f"should match '{node['pattern']}'")
    pattern = _FORMATS.get(node.get("format", ""))
    if pattern and not _matches(pattern, value):
        yield _invalid(path, value, f"must be of type {node['format']}: {_shown(value)}")


def _of_number(node: dict[str, Any], value: float, path: str) -> Iterator[Cause]:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and (value <= low if node.get("exclusiveMinimum") else value < low):
        relation = "greater than" if node.get("exclusiveMinimum") else "greater than or equal to"
        yield _invalid(path, value, f"should be {relation} {low}")
    if high is not None and (value >= high if node.get("exclusiveMaximum") else value > high):
        relation = "less than" if node.get("exclusiveMaximum") else "less than or equal to"
        yield _invalid(path, value, f"should be {relation} {high}")
    if node.get("multipleOf") and value % node["multipleOf"]:
        yield _invalid(path, value, f"should be a multiple of {node['multipleOf']}")
    if node.get("format") == "int32" and not -(2**31) <= value < 2**31:
        yield _invalid(path, value, "must be a valid int32")


def _of_object(schema: Schema, value: dict[str, Any], path: str) -> list[Cause]:
    node = schema.node
    causes = [
        Cause("FieldValueRequired", "Required value", join(path, name))
        for name in node.get("required") or []
        if name not in value
    ]
    if len(value) < node.get("minProperties", 0):
        causes.append(_invalid(path, value, f"should have at least {node['minProperties']} properties"))
    if len(value) > node.get("maxProperties", len(value)):
        message = f"Too many: {len(value)}: must have at most {node['maxProperties']} items"
        causes.append(Cause("FieldValueTooMany", message, path))
    for name, member in value.items():
        child = schema.child(name)
        causes += violations(child, member, join(path, name)) if child is not None else []
    return causes


def _of_list(schema: Schema, value: list[Any], path: str) -> list[Cause]:
    node, causes = schema.node, []
    if len(value) < node.get("minItems", 0):
        causes.append(_invalid(path, len(value), f"should have at least {node['minItems']} items"))
    if len(value) > node.get("maxItems", len(value)):
        message = f"Too many: {len(value)}: must have at most {node['maxItems']} items"
        causes.append(Cause("FieldValueTooMany", message, path))
    seen: list[Any] = []
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        causes += violations(schema.item(), item, here)
        identity = _identity(schema, item)
        if identity is not None and identity in seen:
            causes.append(Cause("FieldValueDuplicate", f"Duplicate value: {_shown(identity)}", here))
        seen.append(identity)
    return causes


def _identity(schema: Schema, item: Any) -> Any:
    """What may occur once only in a list; None where anything may repeat."""
    if schema.list_type == "map" and isinstance(item, dict):
        return {key: item.get(key) for key in schema.list_keys}
    return item if schema.list_type == "set" or schema.node.get("uniqueItems") else None


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    def fits(node: dict[str, Any]) -> bool:
        return not violations(Schema(node, schema.definitions), value, path)

    node = schema.node
    for part in node.get("allOf") or []:
        yield from violations(Schema(part, schema.definitions), value, path)
    if node.get("anyOf") and not any(fits(part) for part in node["anyOf"]):
        yield _invalid(path, value, "must validate at least one schema (anyOf)")
    if node.get("oneOf") and sum(fits(part) for part in node["oneOf"]) != 1:
        yield _invalid(path, value, "must validate one and only one schema (oneOf)")
    if node.get("not") and fits(node["not"]):
        yield _invalid(path, value, "must not validate the schema (not)")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None
