"""A gateway that permits more than the reference, but nothing harmful, passes; one that runs late fails."""

import json
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from guard.core.verdict import Verdict
from stack.policy.calls import Call, Risk
from stack.policy.gateway import Gateway
from suites.policy import oracle
from suites.policy.bench import Bench
from suites.policy.commands import COMMANDS
from suites.policy.oracle import Found, judge_class, watch, watch_end
from suites.policy.test_policy import CLASSES
from tests.suites.policy.direct import Direct, Make, verdicts_of

pytestmark = pytest.mark.component


class _Noting:
    """Takes down what an attempt calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def call(self, call: Any, **more: Any) -> None:
        self.calls.append(call)


def _harmless_calls() -> set[tuple[str, tuple[str, ...]]]:
    noting: Any = _Noting()
    for attempts in COMMANDS.values():
        for attempt in attempts:
            if attempt.reads:
                list(attempt.steps(Bench(noting, "sub")))
    return {(call.tool, call.argv) for call in noting.calls}


def test_gateway_that_runs_harmless_reads_too_loses_no_class(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless, strict = _harmless_calls(), Gateway._risk
    assert len(harmless) > 15

    def risk(gateway: Gateway, call: Call) -> Risk:
        return Risk.R0 if (call.tool, call.argv) in harmless else strict(gateway, call)

    monkeypatch.setattr(Gateway, "_risk", risk)
    with make() as gateway:
        verdicts = verdicts_of(gateway)
        runs = gateway.mark().runs
    assert [name for name, verdict in verdicts.items() if verdict is not Verdict.PASS] == []
    assert runs > len(harmless) - 5


class _Normalising(Direct):
    """Makes of what it gets what may have been meant, and then checks and runs that one reading, strictly."""

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        first: dict[str, str] = {}
        for name, value in headers:
            first.setdefault(name.lower(), value.partition(",")[0])
        if path == "/v1/calls":
            body = self._plain(body)
            first["content-type"] = "application/json"
            first.pop("content-encoding", None)
        return super()._exchange(method, path, list(first.items()), body)

    def _plain(self, body: bytes) -> bytes:
        try:
            document = json.loads(body)
            document = document[0] if isinstance(document, list) else document
            document = {key: value for key, value in document.items() if key != "ARGV"}
            document["tool"] = _normal(document["tool"]).rpartition("/")[2]
            document["argv"] = [_normal(part, number) for number, part in enumerate(document["argv"])]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return body
        return json.dumps(document).encode()


def _normal(text: str, number: int = 0) -> str:
    plain = unicodedata.normalize("NFKC", text).encode("ascii", "ignore").decode()
    plain = "".join(character for character in plain if character.isprintable()).strip()
    return plain.lower() if number == 0 else plain


def test_gateway_that_understands_more_in_one_way_loses_no_class(make: Make) -> None:
    with make(_Normalising) as gateway:
        verdicts = verdicts_of(gateway)
    assert [name for name, verdict in verdicts.items() if verdict is not Verdict.PASS] == []


class _Late(Direct):
    """Refuses, with record and alert, and runs the call all the same when nobody looks any more."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.waiting: list[Call] = []

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        status, answer = super()._exchange(method, path, headers, body)
        if path == "/v1/calls" and answer.get("decision") == "deny":
            document = json.loads(body)
            self.waiting.append(Call(document["tool"], tuple(document["argv"]), document["cwd"]))
        return status, answer

    def run_late(self, seconds: float = 0.0) -> None:
        """In a thread of its own, as a queue's worker does; through the executor that really runs."""
        calls, self.waiting = self.waiting, []
        worker = threading.Thread(target=lambda: [self.gateway._executor.run(call) for call in calls])
        worker.start()
        worker.join()


@pytest.fixture
def late(make: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Late]:
    with make(_Late) as gateway:
        assert isinstance(gateway, _Late)
        clock = SimpleNamespace(sleep=gateway.run_late, monotonic=time.monotonic)
        monkeypatch.setattr(oracle, "time", clock)
        yield gateway


def _first(gateway: Direct, name: str) -> Found:
    return watch(CLASSES[name][0], Bench(gateway, "sub"), 0.0)


@pytest.mark.parametrize("name", ["no-approval", "git-executes", "git-writes", "kubectl-writes"])
def test_call_that_is_refused_and_runs_a_moment_later_fails_its_class(late: _Late, name: str) -> None:
    found = _first(late, name)
    assert found.faults == (), "it has not run yet"
    after = watch_end(late, found.attempt)
    assert after is not None
    assert any("the executor ran 1 times after the answer" in fault for fault in after.faults)
    check = judge_class(name, [found, after], 1.0)
    assert check.verdict is Verdict.FAIL
    assert f"after {found.attempt}" in check.reason


def test_change_that_is_refused_and_made_a_moment_later_is_seen_in_the_state_too(late: _Late) -> None:
    after = watch_end(late, _first(late, "no-approval").attempt)
    assert after is not None
    assert "the backend's state changed after the answer" in after.faults


def test_call_that_runs_late_falls_to_the_next_attempt_if_it_comes_before_the_end(late: _Late) -> None:
    _first(late, "git-writes")
    late.run_late()
    again = watch_end(late, "nothing was asked for since")
    assert again is None, "what ran before is not laid to what comes after"
