"""Strategic merge patch, for built-in kinds: merge patch that knows which lists merge, and by which key.

Directives: `$patch` (replace, delete, merge), `$retainKeys`, `$deleteFromPrimitiveList/FIELD`,
`$setElementOrder/FIELD`. Source: k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from typing import Any

from guard.testing.cluster.objects import Json, clone
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.schema import ANY, Schema, schema_of
from guard.testing.cluster.statuses import bad_request

_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(type_: ResourceType, document: Json, patch: Any) -> Json:
    """The object after the patch.

    Raises:
        StatusError: 400 for a patch that is no object, or whose list items lack their merge key.
    """
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a strategic merge patch is an object")
    return _merged(schema_of(type_), document, patch)


def _plain(patch: Json) -> Json:
    return {key: value for key, value in patch.items() if not key.startswith("$")}


def _merged(schema: Schema, document: Json, patch: Json) -> Json:
    if patch.get("$patch") == "replace":
        return _merged(schema, {}, _plain(patch))
    if patch.get("$patch") == "delete":
        return {}
    result: Json = dict(document)
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, values in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            result[field] = [item for item in result.get(field) or [] if item not in values]
    for key, value in _plain(patch).items():
        _merge_member(schema.child(key) or ANY, result, key, value, patch.get(_ORDER + key))
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and field not in patch and isinstance(result.get(field), list):
            result[field] = _ordered(schema.child(field) or ANY, result[field], order)
    return result


def _merge_member(child: Schema, result: Json, key: str, value: Any, order: list[Any] | None) -> None:
    old = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        if value.get("$patch") == "delete":
            result.pop(key, None)
        else:
            result[key] = _merged(child, old if isinstance(old, dict) else {}, value)
    elif isinstance(value, list) and child.merges:
        merged = _merged_list(child, old if isinstance(old, list) else [], value)
        result[key] = _ordered(child, merged, order) if order else merged
    else:
        result[key] = clone(value)


def _key_of(key: str, item: Any) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise bad_request(f"map: {item} does not contain declared merge key: {key}")
    return item[key]


def _merged_list(schema: Schema, old: list[Any], patch: list[Any]) -> list[Any]:
    key = schema.merge_key
    if not key:
        return [*old, *(item for item in patch if item not in old)]
    if {"$patch": "replace"} in patch:
        return [_merged(schema.item(), {}, item) for item in patch if item != {"$patch": "replace"}]
    result = list(old)
    for item in patch:
        wanted = _key_of(key, item)
        index = next((i for i, have in enumerate(result) if have.get(key) == wanted), None)
        if item.get("$patch") == "delete":
            result = [have for have in result if have.get(key) != wanted]
        elif index is None:
            result.append(_merged(schema.item(), {}, item))
        else:
            result[index] = _merged(schema.item(), result[index], item)
    return result


def _ordered(schema: Schema, items: list[Any], order: list[Any]) -> list[Any]:
    """The items in the patch's order; those that it does not name stay after their predecessor."""
    key = schema.merge_key
    wanted = [item.get(key) if isinstance(item, dict) else item for item in order]
    rank = {identity: number for number, identity in enumerate(wanted)}
    ranked: list[tuple[int, Any]] = []
    last = -1
    for item in items:
        identity = item.get(key) if isinstance(item, dict) else item
        last = rank.get(identity, last)
        ranked.append((last, item))
    return [item for _, item in sorted(ranked, key=lambda pair: pair[0])]
