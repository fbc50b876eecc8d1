"""One demo machine for the tests of the guard: real gateway, real model servers, users' traffic."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from guard.demo import run
from guard.demo.engine import MODEL
from guard.demo.machine import Machine
from guard.demo.show import Show
from tests.demo.stand import Stand

ROOT = Path(__file__).parents[2]
ADDRESSES = "127.90.0.0/16"
# Long prompts, so that a cut context shows soon; few at a time, so that on a busy machine nobody queues.
USERS = ("--rate=0.5", "--long-ratio=0.6", "--long-lines=10", "--max-tokens=4", "--max-in-flight=3")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with Machine(tmp_path_factory.mktemp("demo") / "machine", ROOT) as machine:
        url = run.set_up(machine, Show(Console()), addresses=ADDRESSES)
        out = machine.folder / "users.jsonl"
        machine.start(
            "users", ["-m", "stack.users", f"--url={url}", f"--model={MODEL}", f"--out={out}", *USERS]
        )
        stand = Stand(machine)
        yield stand
        left = psutil.Process().children(recursive=True)
        pipes = [process.stdout for _, process in machine._processes if process.stdout]
    for pipe in pipes:
        pipe.close()
    for versions in stand.versions.values():
        versions.join()
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not alive


@pytest.fixture
def stand(running: Stand) -> Iterator[Stand]:
    """A route of its own, and nothing left of the change afterwards."""
    running.fresh_route()
    yield running
    running.clear()
