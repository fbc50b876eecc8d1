import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from guard.core.samples import Arm, Outcome
from guard.errors import ConfigurationError
from guard.load.plan import LoadPlan
from guard.load.run import LoadInterrupted, Progress, run_load
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime

pytestmark = pytest.mark.component

HOST = "127.40.1.1"
ENDLESS = LoadPlan("constant", 500, rate=20)


def test_a_load_on_both_arms_gives_paired_samples_and_the_workers_clock() -> None:
    seen: list[Progress] = []
    script = Script(api_key="sesame")
    with ScriptedRuntime.serve(script, HOST) as a, ScriptedRuntime.serve(script, "127.40.1.2") as b:
        result = run_load(
            LoadPlan("constant", 0.6, rate=10),
            candidate=a.url + "/v1",
            baseline=b.url,
            model="scripted",
            api_key="sesame",
            on_progress=seen.append,
        )

    assert result.error is None
    assert {s.outcome for s in result.samples} == {Outcome.OK}
    pairs = [{s.pair_id for s in result.arm(arm)} for arm in Arm]
    assert pairs[0] == pairs[1] == {"0", "1", "2", "3", "4", "5"}
    assert (seen[-1].arms[Arm.CANARY].sent, seen[-1].arms[Arm.CANARY].failed) == (6, 0)
    clock = result.metadata["workers"]["w0"]
    assert 0 < clock["uncertainty_seconds"] < 1
    assert json.dumps(result.metadata)
    assert "sesame" not in repr(result)  # so neither in what is written


def test_a_url_that_is_none_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigurationError, match="is not a URL"):
        run_load(ENDLESS, candidate="chat.example:8000", model="m")


def test_a_killed_worker_is_an_error_that_keeps_what_was_measured() -> None:
    others = set(_children(os.getpid()))  # of other tests' fixtures

    def kill(progress: Progress) -> None:
        if progress.arms[Arm.CANARY].finished:
            (worker,) = {*_children(os.getpid())} - others
            os.kill(worker, signal.SIGKILL)

    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        result = run_load(ENDLESS, candidate=runtime.url, model="scripted", on_progress=kill)

    assert "the load worker ended with code -9" in str(result.error)
    assert result.samples


def test_an_interrupt_carries_what_was_measured_and_what_was_in_flight() -> None:
    def interrupt(progress: Progress) -> None:
        if progress.arms[Arm.CANARY].sent:
            raise KeyboardInterrupt

    with (
        ScriptedRuntime.serve(Script(faults=(Fault(FaultKind.HANG),)), HOST) as runtime,
        pytest.raises(LoadInterrupted) as caught,
    ):
        run_load(ENDLESS, candidate=runtime.url, model="scripted", on_progress=interrupt)

    samples = caught.value.result.samples
    assert samples
    assert {s.outcome for s in samples} == {None}
    assert caught.value.result.metadata["workers"]


def test_the_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from guard.load.run import run_load; from guard.load.plan import LoadPlan\n"
        "run_load(LoadPlan('constant', 500, rate=20), candidate=sys.argv[1], model='scripted',"
        " on_progress=lambda p: print('.', flush=True))"
    )
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        parent = subprocess.Popen([sys.executable, "-c", program, runtime.url], stdout=subprocess.PIPE)
        try:
            assert parent.stdout is not None
            parent.stdout.readline()  # the worker measures
            (worker,) = _children(parent.pid)
        finally:
            parent.kill()
            parent.wait()
            parent.stdout.close()
        _wait_until_gone(worker)


def test_locust_is_imported_by_nothing_but_the_worker() -> None:
    program = (
        "import sys; import guard.load.run, guard.load.engine, guard.load.client;"
        "import guard.adapters.requests_file; print('locust' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _wait_until_gone(pid: int) -> None:
    for _ in range(200):
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return
        except FileNotFoundError:
            return
        threading.Event().wait(0.05)
    pytest.fail("the worker is still there")
