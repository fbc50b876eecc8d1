"""Calls that may hang for ever, and nobody who waits for ever: looking up a host's name takes no timeout.

Owns the thread that such a call is left in. Refuses to start another beside one that still hangs, so that a
dead resolver costs one thread and not one for each attempt.
"""

import threading
import time
from collections.abc import Callable
from typing import Any


class OverdueError(Exception):
    """The call has not come back in time; what it would have said is not known."""


class Bounded:
    """One call at a time, each in a daemonic thread: none keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left: threading.Thread | None = None

    def __call__(self, call: Callable[[], Any], seconds: float) -> Any:
        """What the call returns, or raises.

        Raises:
            OverdueError: It took longer, or an earlier one did and is not back yet.
        """
        deadline = time.monotonic() + seconds
        if self._left is not None:
            self._wait(self._left, deadline)
        outcome: list[tuple[Any, BaseException | None]] = []

        def run() -> None:
            try:
                outcome.append((call(), None))
            except BaseException as error:  # it is raised where the call was asked for
                outcome.append((None, error))

        self._left = threading.Thread(target=run, name=self._name, daemon=True)
        self._left.start()
        self._wait(self._left, deadline)
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    def _wait(self, thread: threading.Thread, deadline: float) -> None:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            raise OverdueError
        self._left = None
