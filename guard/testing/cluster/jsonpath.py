"""The simple JSONPath of additionalPrinterColumns: members, indexes, `[*]` and one-clause filters."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_TOKEN = re.compile(
    r"\.(?P<name>(?:[^.\[\]\\]|\\.)+)"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[['\"](?P<quoted>[^'\"]+)['\"]\]"
    r"|(?P<all>\[\*\]|\.\*)"
    r"|\[\?\(@(?P<path>[^=!<>]*?)\s*(?P<op>==|!=)\s*(?P<value>[^)]*)\)\]"
)


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _index(number: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _filter(path: str, operator: str, text: str) -> Step:
    wanted = text.strip().strip("'\"")
    inner = _steps(path)

    def fits(item: Any) -> bool:
        found = any(str(value) == wanted for value in _walk(inner, item))
        return found is (operator == "==")

    return lambda value: (item for item in _every(value) if fits(item))


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise ValueError(f"cannot read JSONPath {path!r} at {path[position:]!r}")
        position = match.end()
        if match["all"]:
            steps.append(_every)
        elif match["index"]:
            steps.append(_index(int(match["index"])))
        elif match["op"]:
            steps.append(_filter(match["path"], match["op"], match["value"]))
        else:
            steps.append(_member(match["quoted"] or re.sub(r"\\(.)", r"\1", match["name"])))
    return tuple(steps)


def _walk(steps: tuple[Step, ...], value: Any) -> Iterator[Any]:
    if not steps:
        yield value
        return
    for found in steps[0](value):
        yield from _walk(steps[1:], found)


def find(path: str, document: Any) -> list[Any]:
    """All values at a path like `.status.conditions[?(@.type=="Ready")].status`; empty where absent.

    Raises:
        ValueError: The path is beyond this subset.
    """
    return list(_walk(_steps(path), document))
