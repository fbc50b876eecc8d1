"""The runtime's own rules: which model a name means, and when a server told to end may go."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.runtime.llamacpp import drain, find_model, main, requests_in_flight

IDLE = "llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n"
BUSY = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\n"
WAITING = "llamacpp:requests_processing 0\nllamacpp:requests_deferred 3\n"


def scripted(*pages: str) -> Callable[[], str]:
    """The pages one after the other, the last one for ever."""
    left: Iterator[str] = iter(pages)
    return lambda: next(left, pages[-1])


@pytest.mark.parametrize(("page", "expected"), [(IDLE, 0), (BUSY, 1), (WAITING, 3)])
def test_waiting_requests_are_in_flight_too(page: str, expected: int) -> None:
    assert requests_in_flight(f"# HELP x\n{page}llamacpp:n_decode_total 7\n") == expected


def test_a_server_that_was_busy_goes_when_it_is_quiet() -> None:
    assert drain(scripted(BUSY, WAITING, IDLE), grace_seconds=30, quiet_seconds=0.01)


def test_the_grace_ends_a_drain_that_never_gets_quiet() -> None:
    assert not drain(scripted(BUSY), grace_seconds=0.05, quiet_seconds=0.01)


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
