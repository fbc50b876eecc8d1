import pytest

from guard.cli.load_view import ProgressLine, block
from guard.core.latency import summarise
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.load.run import ArmProgress, Progress


def at(elapsed: float) -> Progress:
    return Progress(elapsed, {Arm.CANARY: ArmProgress(sent=4, finished=3, failed=1, ttft_seconds_p50=0.25)})


def test_where_no_line_can_be_redrawn_progress_is_sparse(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(30)
    for elapsed in range(11):
        line(at(elapsed))
    line.close()

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "  0/30 s  canary: 3 of 4 ended, 1 failed, TTFT p50 250.0 ms"


def test_on_a_terminal_the_one_line_is_redrawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = ProgressLine(30)
    line(at(1))
    line(at(2))
    line.close()

    assert capsys.readouterr().err.count("\n") == 0


def test_text_of_a_server_is_shown_and_not_obeyed() -> None:
    sample = RequestSample(
        "tidegate-1", Source.LOAD, Arm.CANARY, outcome=Outcome.ERROR, error="HTTP 500: \x1b[31mred\nline"
    )
    shown = block(Arm.CANARY, "http://chat", summarise([sample]), [sample])

    assert "\x1b" not in shown
    assert r"1 error (first: HTTP 500: \x1b[31mred line)" in shown


def test_what_was_not_measured_is_a_dash_and_no_zero() -> None:
    shown = block(Arm.CANARY, "http://chat", summarise([]), [])

    assert [line.split() for line in shown.splitlines()[3:]] == [
        [name, "-", "-", "-", "-", "0"] for name in ("TTFT", "ITL", "TPOT", "E2E")
    ]
