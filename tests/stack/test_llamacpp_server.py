"""The runtime's own rules: which model a name means, and when a server told to end may go."""

import asyncio
from pathlib import Path

import pytest

from stack.runtime.front import Front
from stack.runtime.llamacpp import drain, find_model, main


def test_a_server_that_was_busy_goes_when_it_is_quiet() -> None:
    front = Front("127.0.0.1", 1, in_flight=1)

    async def end_while_draining() -> bool:
        draining = asyncio.create_task(drain(front, grace_seconds=30, quiet_seconds=0.01))
        await asyncio.sleep(0)
        assert not draining.done()
        front.in_flight = 0
        return await draining

    assert asyncio.run(end_while_draining())


def test_the_grace_ends_a_drain_that_never_gets_quiet() -> None:
    front = Front("127.0.0.1", 1, in_flight=1)
    assert not asyncio.run(drain(front, grace_seconds=0.05, quiet_seconds=0.01))


def test_a_model_is_a_file_or_a_shipped_name(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.touch()
    assert find_model(str(file)) == file
    with pytest.raises(FileNotFoundError, match="smollm2-135m-instruct"):
        find_model("gpt-unknown")


def test_an_unknown_model_is_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("xllamacpp")
    assert main(["--model", "gpt-unknown"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
