"""The items of the eval suite: read from JSON Lines, refused by file, line and key, drawn by seed.

One set for every runtime and release: items are never chosen because a stored baseline passed them.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from guard.api.fields import Count, Strict, parse
from guard.api.suites import EvalSuite
from guard.errors import ConfigurationError

SHIPPED = Path(__file__).with_name("items.jsonl")

Text = Annotated[str, Field(min_length=1)]


class Item(Strict):
    """One question with one right answer; docs/eval-items.md is its manual."""

    id: Text
    family: Text
    prompt: Text
    answer: Any
    grader: Literal["exact", "text", "word", "number", "names", "json"]
    system: str | None = None
    examples: tuple[tuple[str, str], ...] = ()  # question and answer, sent as earlier turns
    max_tokens: Annotated[Count, Field(ge=1)] = 16

    @model_validator(mode="after")
    def _answer_of_its_kind(self) -> "Item":
        if self.grader == "json":
            right = isinstance(self.answer, dict | list)
        else:
            right = isinstance(self.answer, str) and bool(self.answer.strip())
        if not right:
            kind = "a JSON object or array" if self.grader == "json" else "a string that is not empty"
            raise ValueError(f"answer: the grader {self.grader!r} needs {kind} (got {self.answer!r})")
        return self

    def messages(self) -> list[dict[str, str]]:
        """The conversation to send: system, examples as turns, the question."""
        turns = [{"role": "system", "content": self.system}] if self.system else []
        for question, answer in self.examples:
            turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return [*turns, {"role": "user", "content": self.prompt}]


def read_items(file: Path) -> list[Item]:
    """Every item of a JSON Lines file, in its order; blank lines are skipped.

    Raises:
        ConfigurationError: Names the file, the line and the key; or two items have one id, or there is none.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    items: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        item = _read_item(line, f"{file}:{number}")
        if item.id in items:
            raise ConfigurationError(f"{file}:{number}: id: {item.id!r} stands twice")
        items[item.id] = item
    if not items:
        raise ConfigurationError(f"{file}: no items")
    return list(items.values())


def _read_item(line: str, where: str) -> Item:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{where}: not JSON: {error}") from error
    return parse(Item, document, where)


def draw(items: Sequence[Item], settings: EvalSuite) -> list[Item]:
    """The items of one run: as many of each family as possible, the same for the same seed everywhere.

    Raises:
        ConfigurationError: `families` names one that has no items.
    """
    families = defaultdict(list)
    for item in sorted(items, key=lambda item: _order(settings.seed, item.id)):
        families[item.family].append(item)
    if strange := sorted(set(settings.families) - families.keys()):
        raise ConfigurationError(
            f"families: {', '.join(strange)}: the items have {', '.join(sorted(families))}"
        )
    chosen = [
        families[name] for name in sorted(families) if not settings.families or name in settings.families
    ]
    in_turn = [item for item in chain.from_iterable(zip_longest(*chosen)) if item is not None]
    return in_turn[: settings.items or None]


def items_of(settings: EvalSuite, relative_to: Path) -> list[Item]:
    """What the suite's settings ask for; a file is looked for beside the configuration that names it."""
    dataset = settings.dataset
    if dataset is None:
        return draw(read_items(SHIPPED), settings)
    if dataset.file is None:
        raise ConfigurationError("dataset.configMap: only a guard in a cluster reads one; name a file here")
    return draw(read_items(relative_to / dataset.file), settings)


def dataset_digest(items: Sequence[Item]) -> str:
    """`sha256:...` of the drawn items, for the fingerprint."""
    text = json.dumps([item.to_document() for item in items], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _order(seed: int, item_id: str) -> bytes:
    # A hash and not `random`: the same draw in every Python, whatever the order of the file.
    return hashlib.sha256(f"{seed}:{item_id}".encode()).digest()
