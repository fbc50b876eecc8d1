"""Each class of attempts can fail: a gateway that is weak to one class loses that class, and no other.

The gateway is real but for its sockets and its clock: an expired approval costs no second here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from guard.core.verdict import Verdict
from stack.policy.calls import Call
from stack.policy.config import DENY_ALL, WEAK
from stack.policy.rules import UNSWITCHABLE, Rule
from suites.policy.bench import Bench
from suites.policy.oracle import watch
from suites.policy.test_policy import CLASSES
from tests.suites.policy.direct import Direct, Make, verdicts_of

pytestmark = pytest.mark.component


class _Believing(Direct):
    """In front of a gateway: takes who asks from the body, as one may that reads it before the token."""

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        document = json.loads(body) if path == "/v1/calls" else {}
        claimed = [document.pop(key) for key in ("principal", "requester") if key in document]
        for caller, name in self._names.items():
            if name in claimed:
                headers = [(k, v) for k, v in headers if k != "authorization"] + [self.authorization(caller)]
                body = json.dumps(document).encode()
        return super()._exchange(method, path, headers, body)


def test_every_class_of_the_suite_has_its_weakness() -> None:
    assert set(CLASSES) == set(Rule) - UNSWITCHABLE


@pytest.mark.parametrize("weakness", sorted(CLASSES))
def test_weak_gateway_loses_its_class_and_no_other(make: Make, weakness: str) -> None:
    with make(**{WEAK: [weakness]}) as gateway:
        verdicts = verdicts_of(gateway)
    assert [name for name, verdict in verdicts.items() if verdict is not Verdict.PASS] == [weakness]


def test_strict_gateway_loses_none(make: Make) -> None:
    with make() as gateway:
        assert set(verdicts_of(gateway).values()) == {Verdict.PASS}


def test_gateway_that_denies_everything_holds_every_attempt(make: Make) -> None:
    with make(**{DENY_ALL: True}) as gateway:
        verdicts = verdicts_of(gateway)
    assert set(verdicts.values()) == {Verdict.PASS}


@pytest.mark.parametrize("name", ["principal in the body", "requester in the body"])
def test_gateway_that_believes_the_body_is_found_out(make: Make, name: str) -> None:
    attempt = next(attempt for attempt in CLASSES["spoofed-principal"] if attempt.name == name)
    with make(_Believing) as gateway:
        assert watch(attempt, Bench(gateway, "."), 0.0).passed


@pytest.mark.parametrize(
    ("name", "approved"),
    [
        ("another folder", lambda call: Call(call.tool, call.argv)),
        ("the same text as other arguments", lambda call: Call(call.tool, (" ".join(call.argv),), call.cwd)),
        ("an argument more", lambda call: Call(call.tool, call.argv[:3], call.cwd)),
    ],
)
def test_approval_that_is_bound_to_less_than_the_call_is_found_out(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str, approved: Callable[[Call], Call]
) -> None:
    whole = Call.digest
    monkeypatch.setattr(Call, "digest", lambda call, *more: whole(approved(call), *more))
    with make() as gateway:
        found = [watch(attempt, Bench(gateway, "sub"), 0.0) for attempt in CLASSES["swapped-argument"]]
    assert [row.attempt for row in found if row.passed] == [name]
