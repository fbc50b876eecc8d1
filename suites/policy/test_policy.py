"""Does a policy gateway hold what must be held, and let through what may pass?

Bypass attempts by class, one check each, and benign controls: a gateway that denies everything fails. A
gateway that is down or breaks is an ERROR of the suite, never a bypass that was blocked. The controls are the
agent health of the runbook: three tools work read-only, R2 and R3 need approvals, the record arrives.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.adapters.policy.gateway import Answer, Call, Mark, PolicyGateway, load_adapter, read_tokens
from guard.api.fields import seconds
from guard.api.suites import PolicySuite
from guard.core.check import Check
from guard.core.verdict import Verdict
from guard.errors import TidegateError
from suites.judge import Judge, Stop
from suites.options import RunOptions
from suites.policy.approvals import APPROVALS
from suites.policy.bench import Attempt, Bench
from suites.policy.commands import COMMANDS
from suites.policy.oracle import SIGNAL, judge_class, watch, watch_end
from suites.policy.protocol import PROTOCOL

CLASSES: dict[str, list[Attempt]] = {**APPROVALS, **COMMANDS, **PROTOCOL}
ANSWERS = "gateway-answers"


@pytest.fixture(scope="module")
def connected(run_options: RunOptions, settings: PolicySuite) -> Iterator[PolicyGateway]:
    """The gateway under judgement. Stops every test when it cannot be asked: one check says why."""
    endpoint = run_options.policy_gateway
    if endpoint is None:
        raise Stop(_silent("no gateway: name it with --policy-gateway URL"))
    try:
        connect = load_adapter(settings.adapter)
        found = connect(endpoint.url, read_tokens(), endpoint.ca_file)
    except TidegateError as error:
        raise Stop(_silent(str(error))) from None
    yield found
    found.close()


@pytest.fixture
def gateway(connected: PolicyGateway, run_options: RunOptions) -> Iterator[PolicyGateway]:
    """The gateway, for this test alone: the oracle counts what runs, also under `-n`."""
    assert run_options.policy_gateway is not None
    name = hashlib.sha256(run_options.policy_gateway.url.encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"tidegate-policy-{os.getuid()}-{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield connected


@pytest.fixture
def bench(gateway: PolicyGateway, settings: PolicySuite) -> Bench:
    return Bench(gateway, settings.cwd)


def test_gateway_answers(connected: PolicyGateway, run_options: RunOptions, judge: Judge) -> None:
    """The gateway answers and knows its callers."""
    endpoint = run_options.policy_gateway
    about = {"gateway": endpoint.url if endpoint else ""}
    judge.measured(signal=SIGNAL, value=1, limit=1, unit="count", samples=1, detail=about)


@pytest.mark.parametrize("name", CLASSES)
def test_bypass(name: str, gateway: PolicyGateway, settings: PolicySuite, judge: Judge) -> None:
    """Attempts of one class: none runs, none changes anything, each leaves one deny record and one alert."""
    judge.name = name
    found, left_out, broken = [], [], None
    started = time.monotonic()
    for attempt in CLASSES[name]:
        try:
            found.append(watch(attempt, Bench(gateway, settings.cwd), seconds(settings.settle)))
        except NotImplementedError:
            left_out.append(attempt.name)
        except TidegateError as error:
            broken = error
            break
    if found and broken is None and not any(row.faults for row in found):
        found += filter(None, [watch_end(gateway, found[-1].attempt)])
    took = time.monotonic() - started
    judge.measured(signal=SIGNAL, samples=len(found), window_seconds=took)
    if broken is not None and not any(row.faults for row in found):
        raise broken
    if not found and left_out:
        judge.not_applicable("this gateway's adapter sends no raw requests")
    judge(judge_class(name, found, took, left_out))


def test_git_works_read_only(bench: Bench, judge: Judge) -> None:
    """git status and git log run."""
    for call in (bench.git("status"), bench.git("log", "--oneline", "-n", "1")):
        _runs_once(bench, judge, call)


def test_kubectl_works_read_only(bench: Bench, judge: Judge) -> None:
    """kubectl get pods runs."""
    _runs_once(bench, judge, Call("kubectl", ("get", "pods"), bench.cwd))


def test_tests_work_read_only(bench: Bench, judge: Judge) -> None:
    """The tests are listed."""
    _runs_once(bench, judge, Call("tests", ("list",), bench.cwd))


def test_r2_with_an_approval_runs_once(bench: Bench, judge: Judge) -> None:
    """A change that one approver approved is made, once."""
    before = bench.gateway.mark().state
    _runs_once(bench, judge, bench.change, [bench.approval(bench.change)])
    changed = bench.gateway.mark().state != before
    bench.clean()
    assert changed, "the call ran, and the backend's state is the same"


def test_r3_with_two_approvals_runs_once(bench: Bench, judge: Judge) -> None:
    """A removal that two approvers approved is made, once."""
    before = bench.gateway.mark().state
    bench.good_call(bench.change, [bench.approval(bench.change)])
    _runs_once(bench, judge, bench.removal, bench.two_approvals(bench.removal))
    assert bench.gateway.mark().state == before, "the tag was made and deleted, and the state is another"


def test_audit_record_arrives(bench: Bench, settings: PolicySuite, judge: Judge) -> None:
    """An allowed call's record can be read, under its request id."""
    before = bench.gateway.mark()
    answer = bench.call(bench.git("status"))
    judge.measured(signal=SIGNAL, detail={"answer": answer.reason})
    assert answer.allowed, f"git status was refused: {answer.reason}"
    deadline = time.monotonic() + seconds(settings.settle)
    while not (found := _allow_records(bench, before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    judge.measured(value=found, limit=1, unit="count", samples=1)
    assert found == 1, f"{found} allow records for one call"


def _silent(why: str) -> Check:
    return Check(ANSWERS, Verdict.ERROR, why, SIGNAL, value=0, limit=1, unit="count", samples=1)


def _allow_records(bench: Bench, before: Mark) -> int:
    records = bench.gateway.records(before)
    return sum(r.kind == "allow" and r.request_id == bench.request_id for r in records)


def _runs_once(bench: Bench, judge: Judge, call: Call, approvals: list[str] | None = None) -> Answer:
    before = bench.gateway.mark()
    answer = bench.call(call, approvals or [])
    runs = bench.gateway.mark().runs - before.runs
    words = f"{call.tool} {' '.join(call.argv)}"
    judge.measured(signal=SIGNAL, value=runs, limit=1, unit="count", samples=1, detail={"call": words})
    assert answer.allowed, f"{words} was refused: {answer.reason}"
    assert runs == 1, f"{words}: the executor ran {runs} times"
    assert answer.exit_code == 0, f"{words} ended with {answer.exit_code}: {answer.output}"
    return answer
