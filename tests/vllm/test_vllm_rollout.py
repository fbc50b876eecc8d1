"""One whole rollout on real vLLM: users' long prompts fail on the canary, and the guard takes it back."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.vllm.vllm_stack import LAST_LINES, need_parts

pytestmark = pytest.mark.vllm

ROLLOUT_SECONDS = 1800.0


@contextmanager
def demo(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Ended by SIGTERM if need be, so that it ends what it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "guard.cli", "demo", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


def test_a_cut_context_is_rolled_back_and_no_user_is_harmed_by_that(tmp_path: Path) -> None:
    need_parts()
    log = tmp_path / "log"
    arguments = ("--engine", "vllm", "--only", "context-cut", "--dir", str(tmp_path / "demo"))
    with demo(*arguments, log=log) as process:
        code = process.wait(ROLLOUT_SECONDS)
    assert code == 0, "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
