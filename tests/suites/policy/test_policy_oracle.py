"""What counts as held: nothing ran, nothing changed, one deny record and one alert. Not the answer."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.adapters.policy.gateway import Answer, Mark, Record, load_adapter
from guard.core.verdict import Verdict
from guard.errors import ConfigurationError, TidegateError, UnreachableError
from suites.policy.approvals import forgeries
from suites.policy.bench import Attempt, Bench, Steps
from suites.policy.oracle import Found, judge_class, upper_bound, watch, watch_end


@dataclass
class _Gateway:
    """A gateway that does to a call what a test says: so many runs, records, alerts."""

    ran: int = 0
    changes: bool = False
    denies: int = 1
    alerted: int = 1
    foreign: int = 0
    breaks: bool = False
    answer: Answer = field(default_factory=lambda: Answer(False))
    late: int = 0
    _called: str | None = None
    _told: bool = False

    def call(self, call: object, *, caller: object, approvals: object, request_id: str) -> Answer:
        self._called = request_id
        if self.breaks:
            raise UnreachableError("it answers 500")
        return self.answer

    def mark(self) -> Mark:
        called = self._called is not None
        return Mark(self.ran * called + self.late * self._told, str(self.changes and called), 0, 0)

    def records(self, since: Mark) -> list[Record]:
        own = [Record("deny", str(self._called))] * self.denies
        return own + [Record("allow", "somebody")] * self.foreign

    def alerts(self, since: Mark) -> list[str]:
        self._told = True
        return [str(self._called)] * self.alerted


def _attack(bench: Bench) -> Steps:
    yield
    bench.call(bench.change)


def _watched(gateway: Any) -> Found:
    return watch(Attempt("it", _attack), Bench(gateway, "."), 0.0)


def test_refusal_with_one_record_and_one_alert_is_held() -> None:
    assert _watched(_Gateway()).faults == ()


@pytest.mark.parametrize(
    ("gateway", "fault", "passed"),
    [
        (_Gateway(ran=1), "the executor ran 1 times", True),
        (_Gateway(changes=True), "the backend's state changed", True),
        (_Gateway(denies=0), "0 deny records, 1 expected", False),
        (_Gateway(denies=2), "2 deny records, 1 expected", False),
        (_Gateway(alerted=0), "0 alerts, 1 expected", False),
        (_Gateway(alerted=2), "2 alerts, 1 expected", False),
        (_Gateway(late=1), "the executor ran 1 times after the answer", True),
        (_Gateway(ran=1, breaks=True), "the executor ran 1 times", True),
    ],
)
def test_one_sign_of_a_bypass_is_enough_whatever_the_gateway_answers(
    gateway: _Gateway, fault: str, passed: bool
) -> None:
    found = _watched(gateway)
    assert any(text.startswith(fault) for text in found.faults), found
    assert found.passed is passed


@pytest.mark.parametrize(
    ("gateway", "faults"),
    [
        (_Gateway(ran=1, denies=0, alerted=0), 0),
        (_Gateway(), 0),
        (_Gateway(denies=0, alerted=0), 2),
        (_Gateway(ran=1, denies=0, alerted=0, changes=True), 1),
        (_Gateway(ran=2, denies=0, alerted=0), 1),
        (_Gateway(ran=1), 2),
    ],
    ids=["run", "refused", "refused in silence", "run, and something changed", "run twice", "run and denied"],
)
def test_attempt_that_only_reads_may_run_once_and_change_nothing(gateway: Any, faults: int) -> None:
    found = watch(Attempt("it", _attack, reads=True), Bench(gateway, "."), 0.0)
    assert len(found.faults) == faults, found


def test_run_after_a_classs_last_attempt_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway: Any = _Gateway(late=1)
    monkeypatch.setattr("suites.policy.oracle.time.sleep", gateway.alerts)
    found = watch_end(gateway, "it")
    assert found is not None
    assert (found.attempt, found.passed) == ("after it", True)
    assert watch_end(gateway, "it") is None


def test_call_of_somebody_else_after_the_last_attempt_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway: Any = _Gateway(late=1, foreign=1)
    monkeypatch.setattr("suites.policy.oracle.time.sleep", gateway.alerts)
    with pytest.raises(TidegateError, match="needs it alone"):
        watch_end(gateway, "it")


def test_kind_answer_alone_is_no_bypass() -> None:
    assert _watched(_Gateway(answer=Answer(True, 0))).faults == ()


def test_gateway_that_breaks_before_anything_ran_is_an_error() -> None:
    with pytest.raises(UnreachableError):
        _watched(_Gateway(breaks=True))


def test_call_of_somebody_else_meanwhile_is_an_error() -> None:
    with pytest.raises(TidegateError, match="needs it alone"):
        _watched(_Gateway(foreign=1))


def test_class_is_judged_by_the_attempts_that_were_not_held() -> None:
    held, lost = Found("a", (), False), Found("b", ("the executor ran 1 times",), True)
    check = judge_class("git-writes", [held, lost], 2.0)
    assert (check.verdict, check.value, check.limit, check.samples) == (Verdict.FAIL, 1, 0, 2)
    assert check.reason == "1 of 2 attempts were not held: b: the executor ran 1 times"
    assert judge_class("git-writes", [held], 2.0).verdict is Verdict.PASS
    assert judge_class("git-writes", [], 2.0).verdict is Verdict.NO_DATA


def test_bound_of_no_success_is_the_exact_binomial_one() -> None:
    assert [round(upper_bound(n), 3) for n in (1, 10, 59)] == [0.95, 0.259, 0.050]


@pytest.mark.parametrize("token", ["eyJhIjogMX0.c2lnbmF0dXJl", "aGVhZA.eyJleHAiOiAxfQ.c2ln", "opaque", ""])
def test_no_forgery_is_the_approval_itself(token: str) -> None:
    texts = dict(forgeries(token))
    assert len(texts) == 6
    assert token not in {text for name, text in texts.items() if name != "empty"}


@pytest.mark.parametrize("name", ["no_such_module_anywhere:connect", "json:nothing", "json:__name__"])
def test_adapter_that_is_none_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_adapter(name)
