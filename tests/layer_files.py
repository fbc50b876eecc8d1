"""Which test files a run by marker need not import, told from their text.

A layer is chosen by marker, and pytest knows a file's markers only when it has imported it: every run, in
each of its workers, would import the modules of all layers. Refuses to guess: a file stays wherever its
text, or that of a conftest.py above it, leaves open that one of its tests is chosen.
"""

import re
from collections.abc import Iterable, Set
from functools import cache
from itertools import chain, combinations
from pathlib import Path

from _pytest.mark.expression import Expression  # what -m is read with; there is no public door to it

_NAMED = re.compile(r"\bmark\.(\w+)")
_OF_EVERY_TEST = re.compile(r"^pytestmark = pytest\.mark\.(\w+)$", re.MULTILINE)


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def asked(expression: str) -> frozenset[str]:
    """The markers that an expression speaks of."""
    return frozenset(re.findall(r"\w+", expression)) - {"and", "or", "not"}


@cache
def named(file: Path, root: Path) -> set[str]:
    """Markers that a test of this file can have: those in its text and in each conftest.py up to `root`."""
    folders = [folder for folder in file.parents if folder == root or root in folder.parents]
    texts = [_text(file), *(_text(folder / "conftest.py") for folder in folders)]
    return {name for text in texts for name in _NAMED.findall(text)}


def may_hold(expression: str, file: Path, root: Path) -> bool:
    """Whether `-m expression` can choose a test of this file."""
    always = set(_OF_EVERY_TEST.findall(_text(file)))
    perhaps = (named(file, root) - always) & asked(expression)
    compiled = Expression.compile(expression)
    return any(compiled.evaluate(_Markers(always | more)) for more in _subsets(perhaps))


class _Markers(set[str]):
    def __call__(self, name: str, /, **_: object) -> bool:
        return name in self


def _subsets(names: Set[str]) -> Iterable[set[str]]:
    counts = range(len(names) + 1)
    return map(set, chain.from_iterable(combinations(sorted(names), count) for count in counts))
