"""The load engine against real model servers: llama.cpp, one thread each."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from guard.core.latency import summarise
from guard.core.samples import Arm, Outcome
from guard.load.plan import LoadPlan
from guard.load.run import run_load

pytestmark = pytest.mark.real

MODEL = "smollm2-135m-instruct"


@contextmanager
def serving(host: str, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "stack.runtime.llamacpp", f"--model={MODEL}", f"--host={host}"]
    process = subprocess.Popen(
        [*command, "--port=0", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield next(line.split()[-1] for line in process.stdout if line.startswith("serving on"))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def arms() -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(serving("127.40.4.1", "--ctx-size=256")),
            stack.enter_context(serving("127.40.4.2")),
        )


def test_a_paired_open_loop_on_two_servers(arms: tuple[str, str]) -> None:
    plan = LoadPlan("poisson", 12, rate=0.75, max_tokens=16)
    result = run_load(plan, candidate=arms[0], baseline=arms[1], model=MODEL)

    assert result.error is None
    assert {s.outcome for s in result.samples} == {Outcome.OK}
    for arm in Arm:
        mine = result.arm(arm)
        summary = summarise(mine)
        assert summary.ttft is not None
        assert summary.tpot is not None
        assert summary.tpot.p50 > 0
        assert all(0 < len(s.token_at) <= (s.output_tokens or 0) <= 16 for s in mine)
        assert all((s.prompt_tokens or 0) > 20 for s in mine)
    assert {s.pair_id for s in result.arm(Arm.CANARY)} == {s.pair_id for s in result.arm(Arm.BASELINE)}


def test_a_prompt_beyond_the_context_is_an_error_with_its_status(arms: tuple[str, str]) -> None:
    plan = LoadPlan("constant", 2, rate=1, max_tokens=4, prompt_words=300)
    result = run_load(plan, candidate=arms[0], model=MODEL)

    assert [(s.outcome, s.status) for s in result.samples] == [(Outcome.ERROR, 400)] * 2
    assert "context" in str(result.samples[0].error)


def test_a_closed_loop_of_two_users(arms: tuple[str, str]) -> None:
    result = run_load(LoadPlan("closed", 6, concurrency=2, max_tokens=8), candidate=arms[1], model=MODEL)

    assert len(result.samples) > 2
    assert {s.outcome for s in result.samples} == {Outcome.OK}
