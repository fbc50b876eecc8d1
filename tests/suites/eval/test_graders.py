"""The graders' rules, one literal a case."""

import pytest

from suites.eval.graders import grade


@pytest.mark.parametrize(
    ("grader", "answer", "expected", "right"),
    [
        ("exact", "\n  'TIDE'.\nand more", "TIDE", True),
        ("exact", "Tide", "TIDE", False),
        ("text", "Old  Stone Bridge!", "old stone bridge", True),
        ("text", "old stone", "old stone bridge", False),
        ("text", "", "old", False),
        ("word", "**Warning**: the disk", "WARNING", True),
        ("word", "The level is WARNING", "WARNING", False),
        ("word", "warnings", "WARNING", False),
        ("word", "", "WARNING", False),
        ("number", "It is 4,821.", "4821", True),
        ("number", "2.50 EUR", "2.5", True),
        ("number", "-7", "7", False),
        ("number", "48210", "4821", False),
        ("number", "none", "7", False),
        ("names", "The capital is Paris.", "Paris", True),
        ("names", "the capital is PARIS", "Paris", True),
        ("names", "Parisian", "Paris", False),
        ("json", 'Here: {"b": 2, "a": 1} bye', {"a": 1, "b": 2}, True),
        ("json", '```json\n{"a": 1.0}\n```', {"a": 1}, True),
        ("json", '{"a": "1"}', {"a": 1}, False),
        ("json", '{"a": true}', {"a": 1}, False),
        ("json", '{"a": 1, "b": 2}', {"a": 1}, False),
        ("json", '{"a": 1', {"a": 1}, False),
        ("json", "[1, 2]", [1, 2], True),
        ("json", "[" * 9000, [1], False),
        ("word", "x" * 20_000, "y", False),
    ],
)
def test_rule(grader: str, answer: str, expected: object, right: bool) -> None:
    assert grade(grader, answer, expected) is right
