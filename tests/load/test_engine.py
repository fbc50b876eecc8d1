import socket
from collections.abc import Iterator

import gevent
import pytest

from guard.core.samples import Arm, Outcome, RequestSample
from guard.load.client import Target
from guard.load.engine import Engine
from guard.load.plan import LoadPlan, LoadTimeouts
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime

pytestmark = pytest.mark.component

HOST = "127.40.1.1"
OTHER = "127.40.1.2"
HUNG = Script(faults=(Fault(FaultKind.HANG),))


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        yield runtime


@pytest.fixture
def runtime(server: ScriptedRuntime) -> Iterator[ScriptedRuntime]:
    server.sent.clear()
    yield server
    server.script = Script()


@pytest.fixture(scope="module")
def other() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve(Script(), OTHER) as runtime:
        yield runtime


def load(plan: LoadPlan, *runtimes: ScriptedRuntime) -> tuple[Engine, list[RequestSample]]:
    samples: list[RequestSample] = []
    targets = {arm: Target(r.url) for arm, r in zip((Arm.CANARY, Arm.BASELINE), runtimes, strict=False)}
    engine = Engine(plan, targets, "scripted", run_id="r", worker="w0", on_sample=samples.append)
    return engine, samples


def test_both_arms_get_the_same_requests_at_the_same_scheduled_times(
    runtime: ScriptedRuntime, other: ScriptedRuntime
) -> None:
    engine, samples = load(LoadPlan("poisson", 0.5, rate=40), runtime, other)
    engine.run()

    arms = [{s.pair_id: s.scheduled_at for s in samples if s.arm is arm} for arm in Arm]
    assert arms[0] == arms[1]
    assert len(arms[0]) > 5
    assert {s.outcome for s in samples} == {Outcome.OK}


def test_the_arm_that_goes_first_alternates(runtime: ScriptedRuntime, other: ScriptedRuntime) -> None:
    engine, samples = load(LoadPlan("constant", 0.4, rate=20), runtime, other)
    engine.run()

    by_pair: dict[str, list[RequestSample]] = {}
    for sample in samples:
        by_pair.setdefault(str(sample.pair_id), []).append(sample)
    first = [min(by_pair[str(index)], key=lambda s: s.dispatch_lag_seconds or 0.0).arm for index in range(8)]
    assert first == [Arm.CANARY, Arm.BASELINE] * 4


def test_a_slow_answer_does_not_delay_later_requests(runtime: ScriptedRuntime) -> None:
    runtime.script = HUNG
    plan = LoadPlan("constant", 0.5, rate=20, timeouts=LoadTimeouts(first_token=1.0))
    engine, samples = load(plan, runtime)
    engine.run()

    assert len(samples) == 10
    assert {s.outcome for s in samples} == {Outcome.TIMEOUT}
    ends = [s.finished_at for s in samples if s.finished_at is not None]
    sent = [s.sent_at for s in samples if s.sent_at is not None]
    assert max(sent) < min(ends)


def test_latency_counts_from_the_scheduled_time(runtime: ScriptedRuntime) -> None:
    engine, (samples) = load(LoadPlan("constant", 0.1, rate=10), runtime)
    engine.run()
    (sample,) = samples

    assert sample.scheduled_at is not None
    assert sample.sent_at is not None
    assert sample.first_token_at is not None
    assert sample.dispatch_lag_seconds is not None
    assert sample.ttft_seconds == sample.first_token_at - sample.scheduled_at
    assert 0 <= sample.dispatch_lag_seconds <= sample.sent_at - sample.scheduled_at


def test_requests_carry_their_id_and_unlike_prompts(runtime: ScriptedRuntime) -> None:
    engine, samples = load(LoadPlan("constant", 0.3, rate=10), runtime)
    engine.run()

    assert {log.request_id for log in runtime.sent} == {s.request_id for s in samples}
    assert all(s.request_id.startswith("tidegate-") for s in samples)
    assert len({s.request_id for s in samples}) == 3


def test_a_closed_loop_keeps_so_many_requests_in_flight(runtime: ScriptedRuntime) -> None:
    runtime.script = Script(itl_seconds=0.002)
    engine, samples = load(LoadPlan("closed", 0.3, concurrency=3), runtime)
    engine.run()

    assert len(samples) > 3
    assert {s.scheduled_at for s in samples} == {None}
    starts = [(s.sent_at, 1) for s in samples if s.sent_at is not None]
    ends = [(s.finished_at, -1) for s in samples if s.finished_at is not None]
    in_flight = peak = 0
    for _, step in sorted(starts + ends):
        in_flight += step
        peak = max(peak, in_flight)
    assert peak == 3


def test_a_closed_loop_ends_at_its_most_requests(runtime: ScriptedRuntime) -> None:
    engine, samples = load(LoadPlan("closed", 60, concurrency=2, max_requests=5), runtime)
    engine.run()

    assert len(samples) == 5


def test_giving_up_leaves_requests_in_flight_without_an_outcome(runtime: ScriptedRuntime) -> None:
    runtime.script = HUNG
    engine, samples = load(LoadPlan("constant", 60, rate=50), runtime)
    run = gevent.spawn(engine.run)
    while not runtime.sent:
        gevent.sleep(0.005)
    engine.give_up()
    run.get(timeout=10)

    assert samples
    assert {(s.outcome, s.finished_at) for s in samples} == {(None, None)}


def test_the_plans_own_timeout_ends_the_load(runtime: ScriptedRuntime) -> None:
    runtime.script = HUNG
    engine, samples = load(LoadPlan("constant", 0.2, rate=10, timeout_seconds=0.5), runtime)
    engine.run()

    assert [s.outcome for s in samples] == [None, None]


def test_a_fault_of_ours_is_raised_and_not_a_sample_of_the_server(runtime: ScriptedRuntime) -> None:
    targets = {Arm.CANARY: Target(runtime.url, api_key="not\nallowed in a header")}
    plan = LoadPlan("constant", 0.1, rate=10)
    engine = Engine(plan, targets, "scripted", run_id="r", worker="w0", on_sample=lambda _: None)

    with pytest.raises(ValueError, match="Invalid header"):
        engine.run()


def test_a_sample_that_cannot_be_kept_breaks_the_load(runtime: ScriptedRuntime) -> None:
    def full_disk(_: RequestSample) -> None:
        raise OSError("no space left")

    targets = {Arm.CANARY: Target(runtime.url)}
    plan = LoadPlan("constant", 0.1, rate=10)
    engine = Engine(plan, targets, "scripted", run_id="r", worker="w0", on_sample=full_disk)

    with pytest.raises(OSError, match="no space left"):
        engine.run()


def test_a_closed_port_is_not_hammered_by_a_closed_loop() -> None:
    with socket.create_server((HOST, 0)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
    samples: list[RequestSample] = []
    plan = LoadPlan("closed", 0.4, concurrency=2)
    engine = Engine(plan, {Arm.CANARY: Target(url)}, "m", run_id="r", worker="w0", on_sample=samples.append)
    engine.run()

    assert {s.outcome for s in samples} == {Outcome.REFUSED}
    assert 2 <= len(samples) <= 10
