"""Shows a run's events on stderr while it goes: with a moving line on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from guard.core.text import visible

if TYPE_CHECKING:
    from guard.core.evidence import Event

_STARTED = "SuiteStarted"


@contextlib.contextmanager
def progress(without: Collection[str] = ()) -> Iterator[Callable[["Event"], None]]:
    """What to call with each event; reasons in `without` are not shown. Text is made harmless."""
    if not sys.stderr.isatty():

        def echo(event: "Event") -> None:
            if event.reason not in without:
                with contextlib.suppress(OSError):  # nobody reads it any more: no reason to stop judging
                    click.echo(_line(event), err=True)

        yield echo
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    with console.status("starting") as status:

        def show(event: "Event") -> None:
            if event.reason == _STARTED:
                status.update(Text(f"{visible(event.message)} running"))
            if event.reason not in without:
                console.print(_line(event), markup=False, emoji=False, soft_wrap=True)

        yield show


def _line(event: "Event") -> str:
    at = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S")
    words = f"{event.message} started" if event.reason == _STARTED else event.message
    return f"{at} {visible(words)}"
