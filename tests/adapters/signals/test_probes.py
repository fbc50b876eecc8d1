"""Claims about the guard's paired probes, against scripted runtimes."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from guard.adapters.endpoint import Endpoint
from guard.adapters.signals import probes as module
from guard.adapters.signals.probes import MAX_PAIRS, Probes
from guard.core.samples import Arm, Outcome, RequestSample
from guard.testing.runtime import Fault, FaultKind, ScriptedRuntime

OFTEN = 6000  # a minute: one every 10 ms
HANG = (Fault(FaultKind.HANG),)


class Seen:
    """What was handed over, in order."""

    def __init__(self) -> None:
        self.queue: queue.Queue[RequestSample] = queue.Queue()

    def until(self, wanted: Callable[[RequestSample], bool]) -> list[RequestSample]:
        """Everything up to the first that is wanted."""
        found = [self.queue.get(timeout=20)]
        while not wanted(found[-1]):
            found.append(self.queue.get(timeout=20))
        return found


@contextlib.contextmanager
def probing(
    seen: Seen, *runtimes: tuple[ScriptedRuntime, Arm], pod: str | None = None, often: int = OFTEN
) -> Iterator[Probes]:
    targets = {arm: [Endpoint(runtime.url, arm, pod=pod)] for runtime, arm in runtimes}
    probes = Probes(lambda: targets, "scripted", often, 8, seen.queue.put)
    probes.start()
    probes.resume()
    try:
        yield probes
    finally:
        probes.stop()


@pytest.fixture
def stable() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve() as runtime:
        yield runtime


@pytest.fixture
def canary() -> Iterator[ScriptedRuntime]:
    with ScriptedRuntime.serve() as runtime:
        yield runtime


def ended(arm: Arm) -> Callable[[RequestSample], bool]:
    return lambda sample: sample.arm is arm and sample.outcome is not None


def probe_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name in ("probe", "probes")]


def test_both_arms_are_asked_the_same_as_one_pair(stable: ScriptedRuntime, canary: ScriptedRuntime) -> None:
    asked: dict[Arm, object] = {}
    stable.script = replace(
        stable.script, answer=lambda messages: str(asked.setdefault(Arm.BASELINE, messages))
    )
    canary.script = replace(
        canary.script, answer=lambda messages: str(asked.setdefault(Arm.CANARY, messages))
    )
    seen = Seen()
    with probing(seen, (stable, Arm.BASELINE), (canary, Arm.CANARY), often=1):
        waiting = {sample.arm: sample for sample in (seen.queue.get(timeout=20), seen.queue.get(timeout=20))}
        both = [*waiting.values(), *seen.until(lambda _: asked.keys() == set(Arm))]
    assert asked[Arm.BASELINE] == asked[Arm.CANARY]
    assert len({sample.pair_id for sample in both}) == 1


def test_a_healthy_slow_answer_is_one_request_seen_waiting_then_with_its_token_then_ended(
    canary: ScriptedRuntime,
) -> None:
    canary.script = replace(canary.script, ttft_seconds=0.1, itl_seconds=0.02)
    seen = Seen()
    with probing(seen, (canary, Arm.CANARY), often=1):
        sent, begun, whole = seen.until(ended(Arm.CANARY))
    assert sent.request_id == begun.request_id == whole.request_id
    assert (sent.outcome, sent.first_token_at) == (None, None)
    assert begun.outcome is None
    assert begun.first_token_at == whole.first_token_at
    assert whole.outcome is Outcome.OK
    assert len(canary.sent) == 1


def test_the_stable_is_asked_on_while_the_canary_hangs(
    stable: ScriptedRuntime, canary: ScriptedRuntime
) -> None:
    canary.script = replace(canary.script, faults=HANG)
    seen = Seen()
    with probing(seen, (stable, Arm.BASELINE), (canary, Arm.CANARY)):
        samples = [one for _ in range(MAX_PAIRS) for one in seen.until(ended(Arm.BASELINE))]
    waiting = [sample for sample in samples if sample.arm is Arm.CANARY]
    assert len(waiting) >= MAX_PAIRS - 1
    assert all(sample.outcome is None for sample in waiting)
    assert len({sample.request_id for sample in waiting}) == len(waiting)


def test_no_more_than_eight_pairs_wait_and_the_rest_is_counted(canary: ScriptedRuntime) -> None:
    canary.script = replace(canary.script, faults=HANG)
    seen = Seen()
    with probing(seen, (canary, Arm.CANARY)) as probes:
        for _ in range(MAX_PAIRS):
            seen.queue.get(timeout=20)
        while not probes.skipped:
            threading.Event().wait(0.01)
    assert seen.queue.empty()
    assert probes.skipped >= 1


def test_a_stopped_prober_leaves_no_thread_behind_a_hung_pod(
    canary: ScriptedRuntime,
) -> None:
    canary.script = replace(canary.script, faults=HANG)
    seen = Seen()
    with probing(seen, (canary, Arm.CANARY)):
        seen.until(lambda sample: sample.outcome is None)
        threads = probe_threads()
    for thread in threads:
        thread.join(1.0)
    assert not any(thread.is_alive() for thread in threads)
    assert all(sample.outcome is None for sample in seen.queue.queue)


def test_a_paused_prober_sends_nothing_new(canary: ScriptedRuntime) -> None:
    seen = Seen()
    with probing(seen, (canary, Arm.CANARY)) as probes:
        seen.until(ended(Arm.CANARY))
        probes.pause()
        threading.Event().wait(0.05)  # a pair that had passed the gate, and its answer
        known = len(canary.sent)
        threading.Event().wait(0.1)  # ten times its period
        assert len(canary.sent) == known


@pytest.mark.parametrize(("pod", "replica"), [("chat-canary-abc", "chat-canary-abc"), (None, "http")])
def test_a_sample_names_its_pod_where_that_is_known(
    canary: ScriptedRuntime, pod: str | None, replica: str
) -> None:
    seen = Seen()
    with probing(seen, (canary, Arm.CANARY), pod=pod, often=1):
        samples = seen.until(ended(Arm.CANARY))
    assert all((sample.replica or "").startswith(replica) for sample in samples)


def test_a_fault_in_one_pair_does_not_end_probing(
    canary: ScriptedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([RuntimeError("a look that failed")])
    seen, targets = Seen(), {Arm.CANARY: [Endpoint(canary.url)]}

    def look() -> dict[Arm, list[Endpoint]]:
        for fault in faults:
            raise fault
        return targets

    monkeypatch.setattr(module.log, "exception", lambda *_: None)
    probes = Probes(look, "scripted", OFTEN, 8, seen.queue.put)
    probes.start()
    probes.resume()
    try:
        assert seen.until(ended(Arm.CANARY))[-1].outcome is Outcome.OK
    finally:
        probes.stop()
