import io
import sys

from guard.cli.progress import progress
from guard.core.evidence import Event

HOSTILE = Event(0.0, "SuiteFinished", "said \x1b[2J\x1b]0;owned\x07 [bold]hi[/bold] :smile:")
SHOWN = r"00:00:00 said \x1b[2J\x1b]0;owned\x07 [bold]hi[/bold] :smile:"


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_text_from_elsewhere_is_no_terminal_sequence_in_plain_lines(capsys):
    with progress() as show:
        show(HOSTILE)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", SHOWN + "\n")


def test_text_from_elsewhere_is_neither_sequence_nor_markup_on_a_terminal(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress() as show:
        show(Event(0.0, "SuiteStarted", "smoke\x1b[2J[bold]"))
        show(HOSTILE)
    assert SHOWN in terminal.getvalue()
    assert "\x1b]0;" not in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


def test_reason_that_is_left_out_is_not_shown(capsys):
    with progress(without=("SuiteFinished",)) as show:
        show(HOSTILE)
    assert capsys.readouterr().err == ""


def test_run_goes_on_when_nobody_reads_its_progress(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    with progress() as show:
        show(HOSTILE)
