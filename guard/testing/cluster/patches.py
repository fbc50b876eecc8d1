"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), with the API server's refusals.

A patch that does not parse is 400; one that parses and cannot be applied, a failed `test` included, is
422 Invalid, as kube-apiserver answers. Neither edits its input.
"""

from collections.abc import Callable
from typing import Any

from guard.testing.cluster.objects import clone
from guard.testing.cluster.statuses import StatusError, bad_request


class _CannotApply(Exception):
    """A step that does not fit the document. The real server keeps the detail to itself."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str):
        raise bad_request(f"error decoding patch: invalid JSON pointer {pointer!r}")
    if pointer and not pointer.startswith("/"):
        raise _CannotApply(f"invalid JSON pointer {pointer!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _index(items: list[Any], token: str, *, end: bool) -> int:
    if end and token == "-":
        return len(items)
    limit = len(items) + end
    if not token.lstrip("-").isdigit() or not -len(items) <= int(token) < limit:
        raise _CannotApply(f"Unable to access invalid index: {token}")
    return int(token)


def _child(node: Any, token: str, pointer: str) -> Any:
    if isinstance(node, dict) and token in node:
        return node[token]
    if isinstance(node, list):
        return node[_index(node, token, end=False)]
    raise _CannotApply(f"doc is missing path: {pointer}: missing value")


def _parent(document: Any, pointer: Any) -> tuple[Any, str]:
    tokens = _tokens(pointer)
    if not tokens:
        raise _CannotApply("the whole document cannot be the target")
    node = document
    for token in tokens[:-1]:
        node = _child(node, token, pointer)
    return node, tokens[-1]


def _read(document: Any, pointer: Any) -> Any:
    node, last = _parent(document, pointer)
    return _child(node, last, pointer)


def _add(document: Any, pointer: Any, value: Any) -> None:
    node, last = _parent(document, pointer)
    if isinstance(node, dict):
        node[last] = clone(value)
    elif isinstance(node, list):
        node.insert(_index(node, last, end=True), clone(value))
    else:
        raise _CannotApply(f"add operation does not apply: doc is missing path: {pointer!r}")


def _remove(document: Any, pointer: Any) -> Any:
    node, last = _parent(document, pointer)
    removed = _child(node, last, pointer)
    del node[last if isinstance(node, dict) else _index(node, last, end=False)]
    return removed


def _replace(document: Any, pointer: Any, value: Any) -> None:
    """An absent member is added, against RFC 6902, as evanphx/json-patch v4 does; an absent item is not."""
    node, last = _parent(document, pointer)
    if not isinstance(node, dict):
        _child(node, last, pointer)
    node[last if isinstance(node, dict) else _index(node, last, end=False)] = clone(value)


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _test(document: Any, pointer: Any, value: Any) -> None:
    """An absent member equals null, as in evanphx/json-patch v4, which the API server uses."""
    node, last = _parent(document, pointer)
    actual = node.get(last) if isinstance(node, dict) else _child(node, last, pointer)
    if not _same(actual, value):
        raise _CannotApply(f"testing value {pointer} failed: test failed")


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], object]] = {
    "add": lambda document, step: _add(document, step["path"], step["value"]),
    "remove": lambda document, step: _remove(document, step["path"]),
    "replace": lambda document, step: _replace(document, step["path"], step["value"]),
    "test": lambda document, step: _test(document, step["path"], step["value"]),
    "copy": lambda document, step: _add(document, step["path"], _read(document, step["from"])),
    "move": lambda document, step: _add(document, step["path"], _remove(document, step["from"])),
}


def _refused() -> StatusError:
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def json_patch(document: Any, steps: Any) -> Any:
    """The document after all steps, or a refusal and no change at all."""
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise bad_request("error decoding patch: a JSON Patch is a list of operations")
    result = clone(document)
    for step in steps:
        operation = _OPERATIONS.get(step.get("op", ""))
        if operation is None:
            raise _refused() from ValueError(f"Unexpected kind: {step.get('op')}")
        try:
            operation(result, step)
        except KeyError as error:
            raise bad_request(f"error decoding patch: operation without {error}") from error
        except _CannotApply as error:
            raise _refused() from error
    return result
