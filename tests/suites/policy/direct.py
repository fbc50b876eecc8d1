"""A policy gateway in the tests' own process, real but for its sockets and its clock."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import Headers

from guard.adapters.policy.gateway import Caller, HttpGateway
from guard.core.verdict import Verdict
from stack.policy.app import answer_to
from stack.policy.calls import canonical
from stack.policy.config import read_config
from stack.policy.gateway import Gateway
from suites.policy import approvals
from suites.policy.bench import Bench
from suites.policy.oracle import judge_class, watch
from suites.policy.test_policy import CLASSES
from tests.stack.policy_process import TOKENS, write_config

Make = Callable[..., AbstractContextManager[HttpGateway]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A gateway with some weakness, asked in this process."""
    now = [1000.0]
    clock = SimpleNamespace(sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(approvals, "time", clock)  # not its `sleep`: the processes' waiting uses that, too
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)

    @contextmanager
    def made(asked_by: "type[Direct] | None" = None, **more: Any) -> Iterator[HttpGateway]:
        gateway = Gateway(read_config(write_config(tmp_path, watched=[], **more)), lambda: now[0])
        (tmp_path / "workspace/sub").mkdir()
        adapter = (asked_by or Direct)(gateway)
        try:
            adapter.open()
            yield adapter
        finally:
            adapter.close()
            gateway.close()

    return made


class Direct(HttpGateway):
    """Asks the gateway in this process: the exchanges of HTTP without a socket."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__("http://policy", dict(zip(Caller, TOKENS.values(), strict=True)))
        self.gateway = gateway

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        where, _, query = path.partition("?")
        answer = answer_to(self.gateway, method, where, query, Headers(raw=raw), body)
        return answer.status, json.loads(canonical(answer.body))


def verdicts_of(gateway: HttpGateway) -> dict[str, Verdict]:
    return {
        name: judge_class(
            name, [watch(attempt, Bench(gateway, "sub"), 0.0) for attempt in attempts], 1.0
        ).verdict
        for name, attempts in CLASSES.items()
    }
