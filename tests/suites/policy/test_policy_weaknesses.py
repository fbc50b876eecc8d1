"""Each class of attempts can fail: a gateway that is weak to one class loses that class, and no other.

The gateway is real but for its sockets and its clock: an expired approval costs no second here.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from guard.adapters.policy.gateway import Caller, HttpGateway
from guard.core.verdict import Verdict
from stack.policy.app import answer_to
from stack.policy.calls import Call, canonical
from stack.policy.config import DENY_ALL, WEAK, read_config
from stack.policy.gateway import Gateway
from stack.policy.rules import UNSWITCHABLE, Rule
from suites.policy import approvals
from suites.policy.bench import Bench
from suites.policy.oracle import judge_class, watch
from suites.policy.test_policy import CLASSES
from tests.stack.policy_process import TOKENS, write_config

pytestmark = pytest.mark.component

Make = Callable[..., AbstractContextManager[HttpGateway]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A gateway with some weakness, asked in this process."""
    now = [1000.0]
    monkeypatch.setattr(approvals.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)

    @contextmanager
    def made(asked_by: "type[_Direct] | None" = None, **more: Any) -> Iterator[HttpGateway]:
        gateway = Gateway(read_config(write_config(tmp_path, watched=[], **more)), lambda: now[0])
        (tmp_path / "workspace/sub").mkdir()
        adapter = (asked_by or _Direct)(gateway)
        try:
            adapter.open()
            yield adapter
        finally:
            adapter.close()
            gateway.close()

    return made


class _Direct(HttpGateway):
    """Asks the gateway in this process: the exchanges of HTTP without a socket."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("http://policy", dict(zip(Caller, TOKENS.values(), strict=True)))
        self._gateway = gateway

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        where, _, query = path.partition("?")
        answer = answer_to(self._gateway, method, where, query, Headers(raw=raw), body)
        return answer.status, json.loads(canonical(answer.body))


class _Believing(_Direct):
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


def _verdicts(gateway: HttpGateway) -> dict[str, Verdict]:
    return {
        name: judge_class(
            name, [watch(attempt, Bench(gateway, "sub"), 0.0) for attempt in attempts], 1.0
        ).verdict
        for name, attempts in CLASSES.items()
    }


def test_every_class_of_the_suite_has_its_weakness() -> None:
    assert set(CLASSES) == set(Rule) - UNSWITCHABLE


@pytest.mark.parametrize("weakness", sorted(CLASSES))
def test_weak_gateway_loses_its_class_and_no_other(make: Make, weakness: str) -> None:
    with make(**{WEAK: [weakness]}) as gateway:
        verdicts = _verdicts(gateway)
    assert [name for name, verdict in verdicts.items() if verdict is not Verdict.PASS] == [weakness]


def test_strict_gateway_loses_none(make: Make) -> None:
    with make() as gateway:
        assert set(_verdicts(gateway).values()) == {Verdict.PASS}


def test_gateway_that_denies_everything_holds_every_attempt(make: Make) -> None:
    with make(**{DENY_ALL: True}) as gateway:
        verdicts = _verdicts(gateway)
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
