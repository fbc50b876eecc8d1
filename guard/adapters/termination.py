"""Being told to end by SIGTERM or SIGINT, at any moment of waiting for it.

Python runs a handler between two instructions of the main thread. One that comes after the last look at
signals and before the thread sleeps in a lock is not run until the lock wakes; and one that calls an Event's
set() while wait() holds the Event's own lock waits for itself (together 1 of 400 processes hung, tried). The
wakeup file is written by the signal itself, in any thread and at any moment.
"""

import os
import signal

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Termination:
    """From its making on SIGTERM and SIGINT do nothing but let `wait` return. Made in the main thread."""

    def __init__(self) -> None:
        self._told, told_by_signal = os.pipe()
        os.set_blocking(told_by_signal, False)
        signal.set_wakeup_fd(told_by_signal)
        for number in _NUMBERS:
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Until the next request to end; from any thread."""
        while os.read(self._told, 1)[0] not in _NUMBERS:
            pass
