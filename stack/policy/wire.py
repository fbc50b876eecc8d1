"""From the bytes of a request to a call, strictly: one way to read it, or none.

Two readers that understand one request differently are how the call that was checked and the call that runs
come to differ. So: UTF-8 JSON without a duplicate or unknown key, printable ASCII in every argument. Refuses
to know what a call may do.
"""

import json
from collections.abc import Iterable
from typing import Any

from stack.policy.calls import Call
from stack.policy.rules import Refuse, Refused, Rule

MAX_BODY_BYTES = 64 * 1024
_MAX_ARGUMENTS = 64
_MAX_CHARACTERS = 1000
_MAX_APPROVALS = 8
_IDENTITY_KEYS = frozenset({"principal", "requester", "approver", "user", "as", "role", "roles"})
_AUDIT_KEYS = frozenset({"audit", "log", "record", "alert", "dry_run", "dryrun", "silent", "seq"})


def read_call(body: bytes, refuse: Refuse, last: bool = True) -> tuple[Call, tuple[str, ...]]:
    """The call and the approvals that came with it.

    Args:
        last: Of a key that stands twice, which a weak gateway lets pass, the last value, or else the first.
    """
    document = _document(body, {"tool", "argv", "cwd", "approvals"}, refuse, last)
    approvals = document.get("approvals", [])
    if not _are_strings(approvals) or len(approvals) > _MAX_APPROVALS:
        raise Refused(Rule.MALFORMED, f"approvals: expected at most {_MAX_APPROVALS} strings")
    return _call(document, refuse), tuple(approvals)


def read_approval_request(body: bytes, refuse: Refuse) -> tuple[Call, str, int]:
    """The call to approve, its requester, and for how many seconds."""
    document = _document(body, {"tool", "argv", "cwd", "requester", "ttl_seconds"}, refuse)
    requester, ttl = document.get("requester"), document.get("ttl_seconds", 300)
    if not isinstance(requester, str) or isinstance(ttl, bool) or not isinstance(ttl, int) or ttl < 1:
        raise Refused(Rule.MALFORMED, "requester: expected a name; ttl_seconds: a whole number from 1")
    return _call(document, refuse), requester, ttl


def _document(body: bytes, keys: set[str], refuse: Refuse, last: bool = True) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in found}) < len(found):
            refuse(Rule.AMBIGUOUS_JSON, "a key stands twice in an object")
        return dict(found if last else reversed(found))

    def constant(name: str) -> None:
        raise Refused(Rule.MALFORMED, f"{name} is not JSON")

    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Refused(Rule.MALFORMED, f"the body is not JSON in UTF-8: {error}") from error
    if not isinstance(document, dict):
        raise Refused(Rule.MALFORMED, "the body is not an object")
    for key in document.keys() - keys:
        refuse(_rule_of_key(key, keys), f"unknown key {key!r}; known: {', '.join(sorted(keys))}")
    return {key: value for key, value in document.items() if key in keys}


def _rule_of_key(key: str, keys: Iterable[str]) -> Rule:
    plain = key.strip().casefold()
    if plain in keys:
        return Rule.AMBIGUOUS_JSON
    if plain in _IDENTITY_KEYS:
        return Rule.SPOOFED_PRINCIPAL
    return Rule.AUDIT_SUPPRESSION if plain in _AUDIT_KEYS else Rule.MALFORMED


def _call(document: dict[str, Any], refuse: Refuse) -> Call:
    tool, argv, cwd = document.get("tool"), document.get("argv"), document.get("cwd", ".")
    if not isinstance(tool, str) or not isinstance(cwd, str) or not isinstance(argv, list):
        raise Refused(Rule.MALFORMED, "expected tool: a string, argv: a list, cwd: a string")
    if not argv or not _are_strings(argv) or len(argv) > _MAX_ARGUMENTS:
        raise Refused(Rule.MALFORMED, f"argv: expected 1 to {_MAX_ARGUMENTS} strings")
    return Call(_text(tool, refuse), tuple(_text(part, refuse) for part in argv), _text(cwd, refuse))


def printable(call: Call) -> Call:
    """The same call, where the rules hold; a weak gateway takes out what it does not like, as many do."""

    def clean(text: str) -> str:
        return "".join(character for character in text if " " <= character <= "~")

    return Call(clean(call.tool), tuple(map(clean, call.argv)), clean(call.cwd))


def _text(text: str, refuse: Refuse) -> str:
    if len(text) > _MAX_CHARACTERS:
        raise Refused(Rule.MALFORMED, f"a text of {len(text)} characters; at most {_MAX_CHARACTERS}")
    if not (text.isascii() and text.isprintable()):
        refuse(Rule.INJECTED_TEXT, f"{text!r}: only printable ASCII may stand in a call")
    if text != text.strip() or not text:
        refuse(Rule.DISGUISED_NAME, f"{text!r}: empty, or blanks at an end")
    return text


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
