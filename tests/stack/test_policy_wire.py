"""One way to read a request, or none."""

import json

import pytest

from stack.policy.calls import Call
from stack.policy.rules import Refuse, Refused, Rule
from stack.policy.wire import read_approval_request, read_call

GOOD = {"tool": "git", "argv": ["status"], "cwd": "."}


def test_call_is_read_as_it_is_written():
    call, approvals = read_call(json.dumps(GOOD | {"approvals": ["a.b"]}).encode(), Refuse())
    assert (call, approvals) == (Call("git", ("status",)), ("a.b",))


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", Rule.MALFORMED),
        (b"[]", Rule.MALFORMED),
        (b"[" * 60000, Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["status"]} {}', Rule.MALFORMED),
        (b'\xef\xbb\xbf{"tool": "git", "argv": ["status"]}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["status"], "cwd": NaN}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["status"], "argv": ["log"]}', Rule.AMBIGUOUS_JSON),
        (b'{"tool": "git", "argv": ["status"], "Argv": ["log"]}', Rule.AMBIGUOUS_JSON),
        (b'{"tool": "git", "argv": ["status"], "principal": "one"}', Rule.SPOOFED_PRINCIPAL),
        (b'{"tool": "git", "argv": ["status"], "audit": false}', Rule.AUDIT_SUPPRESSION),
        (b'{"tool": "git", "argv": ["status"], "shell": true}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": "status"}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": []}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["log", 1]}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["status"], "approvals": "x"}', Rule.MALFORMED),
        (b'{"tool": "git", "argv": ["a\\u0000b"]}', Rule.INJECTED_TEXT),
        (b'{"tool": "git", "argv": ["a\\nb"]}', Rule.INJECTED_TEXT),
        (b'{"tool": "git", "argv": ["\\ud800"]}', Rule.INJECTED_TEXT),
        ('{"tool": "git", "argv": ["\u2014x"]}'.encode(), Rule.INJECTED_TEXT),
        (b'{"tool": "git", "argv": ["status "]}', Rule.DISGUISED_NAME),
        (b'{"tool": "git", "argv": [""]}', Rule.DISGUISED_NAME),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body, rule):
    with pytest.raises(Refused) as refused:
        read_call(body, Refuse())
    assert refused.value.rule is rule


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "60", None])
def test_approval_is_asked_for_a_whole_number_of_seconds(ttl):
    body = json.dumps(GOOD | {"requester": "agent", "ttl_seconds": ttl}).encode()
    with pytest.raises(Refused):
        read_approval_request(body, Refuse())
