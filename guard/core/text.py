"""Text that others wrote, made harmless to look at and possible to write.

Models, endpoints and configuration files send control characters, terminal sequences, lone surrogates and
characters that reorder a line. `visible` is for whatever shows text (terminal, log, HTML, Markdown,
JUnit); each then escapes what its own syntax needs. `sanitized` is for JSON that is stored.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# C0 but tab and newline, DEL, C1; zero-width and bidirectional controls (a line that reads other than it
# is); lone surrogates and non-characters, which neither UTF-8 nor XML can carry.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)
_SHORTEST_SECRET = 8
_LARGEST_EXACT = 2**53 - 1  # beyond it, other languages' JSON readers round


def visible(text: str) -> str:
    r"""The text with every invisible or terminal-controlling character written out: ESC becomes `\x1b`."""
    return _HARMFUL.sub(_escaped, text)


def one_line(text: str, limit: int = 300) -> str:
    """Visible text without line breaks, cut to `limit` characters with an ellipsis."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def sanitized(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A JSON value that every reader can take, with each secret replaced by `[redacted]`.

    Secrets below eight characters (`EMPTY`, `none`, `test`) are none, and would blot out common words.

    Numbers that JSON lacks become None, integers beyond 2**53 strings, lone surrogates `?`.
    """
    hidden = tuple(secret for secret in secrets if is_secret(secret))
    return _sanitized(value, hidden)


def is_secret(text: str) -> bool:
    return len(text) >= _SHORTEST_SECRET


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _sanitized(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[redacted]")
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, Mapping):
        return {_sanitized(str(key), secrets): _sanitized(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sanitized(item, secrets) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_EXACT:
        return str(value)
    return value
