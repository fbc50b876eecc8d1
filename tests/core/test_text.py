import json

import pytest

from guard.core.text import one_line, sanitized, visible


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b2J", r"\x9b2J"),
        ("\x1b]8;;http://evil\x07link", r"\x1b]8;;http://evil\x07link"),
        ("back\bspace\rreturn", r"back\x08space\x0dreturn"),
        ("invoice\u202efdp.exe", r"invoice\u202efdp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("half\ud800", r"half\ud800"),
        ("a\tb\nc", "a\tb\nc"),
        ("größe 漢字 🙂", "größe 漢字 🙂"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(hostile, shown):
    assert visible(hostile) == shown


def test_one_line_has_no_line_break_and_a_bound():
    assert one_line("a\n\n  b\r\nc") == r"a b\x0d c"
    assert one_line("x" * 400, limit=10) == "x" * 9 + "…"


def test_secret_is_redacted_in_keys_and_nested_values():
    found = sanitized({"a": ["Bearer s3cret-key"], "s3cret-key": {"b": "x"}}, ["s3cret-key"])
    assert found == {"a": ["Bearer [redacted]"], "[redacted]": {"b": "x"}}


@pytest.mark.parametrize("placeholder", ["", "EMPTY", "test"])
def test_placeholder_for_a_key_redacts_nothing(placeholder):
    assert sanitized("a test of EMPTY", [placeholder]) == "a test of EMPTY"


def test_values_that_json_lacks_become_ones_that_it_has():
    found = sanitized({"nan": float("nan"), "inf": float("inf"), "big": 2**60, "half": "\ud800", "t": True})
    assert found == {"nan": None, "inf": None, "big": "1152921504606846976", "half": "?", "t": True}
    json.dumps(found, allow_nan=False).encode()
