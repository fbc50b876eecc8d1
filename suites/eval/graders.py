"""How an answer is graded: right or wrong, by rules that anyone can check by hand.

Owns the normalisation, one rule a grader; docs/eval-items.md documents them. No judging model, no partial
credit. Answers are hostile text: they are compared and never interpreted, JSON parsing aside.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_QUOTES_AND_STOPS = " \t.,:;!?\"'`*\u201c\u201d\u2018\u2019"
_LONGEST = 10_000  # characters; no item asks for more, and a runaway answer must not cost time


def exact(answer: str, expected: Any) -> bool:
    """The first line that is not blank; blanks collapsed, quotes and stops at both ends off. Case matters."""
    return _first_line(answer) == str(expected)


def text(answer: str, expected: Any) -> bool:
    """As `exact`, but case does not matter."""
    return _first_line(answer).casefold() == str(expected).casefold()


def word(answer: str, expected: Any) -> bool:
    """The first word; case does not matter."""
    found = _WORD.search(answer)
    return found is not None and found[0].casefold() == str(expected).casefold()


def number(answer: str, expected: Any) -> bool:
    """The first number, by value: 1,000 is 1000 and 2.50 is 2.5."""
    found = _NUMBER.search(answer)
    return found is not None and _decimal(found[0]) == _decimal(str(expected))


def names(answer: str, expected: Any) -> bool:
    """The expected words stand somewhere in the answer, as whole words; case does not matter."""
    pattern = rf"(?<!\w){re.escape(str(expected))}(?!\w)"
    return re.search(pattern, answer, re.IGNORECASE) is not None


def json_value(answer: str, expected: Any) -> bool:
    """The first JSON object or array, by value: order and blanks do not matter, 47 is not "47"."""
    start = re.search(r"[{\[]", answer)
    if start is None:
        return False
    try:
        found, _ = json.JSONDecoder().raw_decode(answer[start.start() :])
    except (ValueError, RecursionError):
        return False
    return _same_json(found, expected)


GRADERS: dict[str, Callable[[str, Any], bool]] = {
    "exact": exact,
    "text": text,
    "word": word,
    "number": number,
    "names": names,
    "json": json_value,
}


def grade(grader: str, answer: str, expected: Any) -> bool:
    """Whether the answer is right. Only its first 10,000 characters count."""
    return GRADERS[grader](answer[:_LONGEST], expected)


def _first_line(answer: str) -> str:
    lines = (" ".join(line.split()) for line in answer.splitlines())
    return next((line for line in lines if line), "").strip(_QUOTES_AND_STOPS)


def _decimal(digits: str) -> Decimal | None:
    try:
        return Decimal(digits.replace(",", ""))
    except InvalidOperation:
        return None


def _same_json(one: Any, other: Any) -> bool:
    """By value, but `true` is not 1, which Python takes for equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
