"""Label and field selectors: text in, predicate out.

Labels know every operator of the API; fields know `=`, `==` and `!=` on any dotted path. The real server
refuses field paths that a kind does not index; this one reads any path, so tests must not rely on more
than the documented ones.
"""

import re
from collections.abc import Callable

from guard.testing.cluster.objects import Json
from guard.testing.cluster.statuses import bad_request

Predicate = Callable[[Json], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARE = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s=!<>]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[A-Za-z0-9][-A-Za-z0-9_./]*)$")


def _clauses(text: str) -> list[str]:
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def _compare(operator: str, actual: str | None, wanted: str) -> bool:
    if operator in ("=", "=="):
        return actual == wanted
    if operator == "!=":
        return actual != wanted
    try:
        left, right = int(actual or ""), int(wanted)
    except ValueError:
        return False
    return left > right if operator == ">" else left < right


def _label_clause(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.match(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _COMPARE.match(text):
        key, operator, wanted = match["key"], match["op"], match["value"]
        return lambda labels: _compare(operator, labels.get(key), wanted)
    if match := _EXISTS.match(text):
        key, present = match["key"], not match["no"]
        return lambda labels: (key in labels) is present
    raise bad_request(
        f"unable to parse requirement: found {text!r}, expected: one of in, notin, =, ==, !=, gt, lt"
    )


def label_selector(text: str) -> Predicate:
    """Predicate for a `labelSelector`; every object matches an empty one."""
    clauses = [_label_clause(part) for part in _clauses(text)]

    def matches(document: Json) -> bool:
        labels = (document.get("metadata") or {}).get("labels") or {}
        return all(clause(labels) for clause in clauses)

    return matches


def _field(document: Json, path: str) -> str:
    value: object = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _field_clause(text: str) -> Predicate:
    match = _COMPARE.match(text)
    if match is None or match["op"] in ("<", ">"):
        raise bad_request(f"invalid field selector: {text!r}; can't understand it")
    path, equal, wanted = match["key"], match["op"] != "!=", match["value"]
    return lambda document: (_field(document, path) == wanted) is equal


def field_selector(text: str) -> Predicate:
    """Predicate for a `fieldSelector`; an absent field reads as the empty string."""
    clauses = [_field_clause(part) for part in _clauses(text)]
    return lambda document: all(clause(document) for clause in clauses)


def selector(labels: str, fields: str) -> Predicate:
    """Both at once."""
    by_label, by_field = label_selector(labels), field_selector(fields)
    return lambda document: by_label(document) and by_field(document)
