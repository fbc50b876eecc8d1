"""A request to end that comes at any moment of waiting for it: taken, and never a deadlock."""

import os
import signal
from collections.abc import Iterator
from threading import Semaphore, Thread

import pytest

from guard.adapters.termination import Termination

ROUNDS = 4_000  # a handler that sets an Event, or puts into a SimpleQueue, hangs within this many


@pytest.fixture
def termination() -> Iterator[Termination]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Termination()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_at_any_moment_of_the_wait_is_taken(termination: Termination) -> None:
    begun = Semaphore(0)

    def send() -> None:
        for _ in range(ROUNDS):
            begun.acquire()
            os.kill(os.getpid(), signal.SIGTERM)

    sender = Thread(target=send, daemon=True)
    sender.start()
    for _ in range(ROUNDS):
        begun.release()
        termination.wait()
    sender.join()


def test_another_signal_is_no_request_to_end(termination: Termination) -> None:
    ended = Semaphore(0)

    def wait() -> None:
        termination.wait()
        ended.release()

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    Thread(target=wait, daemon=True).start()
    signal.raise_signal(signal.SIGUSR1)
    assert not ended.acquire(timeout=0.2)
    signal.raise_signal(signal.SIGINT)
    assert ended.acquire(timeout=30)
    signal.signal(signal.SIGUSR1, before)
