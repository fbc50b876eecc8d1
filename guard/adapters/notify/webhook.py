"""Sends notifications by webhook, beside everything else: a decision never waits for a chat server.

Owns one bounded queue for each destination, the thread that empties it, timeouts, retries with a bound, and
what is known of their success. An attempt that no timeout reaches (a resolver that hangs) is left behind.
The URL is a secret: read when a message is sent, never kept, logged or repeated;
what failed is told in words of our own, because an HTTP library's words hold the URL.
"""

import json
import logging
import queue
import random
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from guard import __version__
from guard.adapters.notify.bounded import Bounded, OverdueError
from guard.adapters.trust import default_trust
from guard.errors import TidegateError

QUEUE_LENGTH = 32
ATTEMPTS = 4
BACKOFF_SECONDS = 2.0  # then four times as long each time: 2, 8, 32
CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
_GRACE_SECONDS = 1.0  # for the timeouts to say first what is wrong; arbitrary, beside 10 s
_AGAIN = (408, 425, 429)
_THREAD = "webhook-"

log = logging.getLogger("tidegate.notify")


@dataclass(frozen=True)
class Failure:
    """Why a message could not be delivered: `reason` is CamelCase from a fixed list, `message` a sentence."""

    reason: str
    message: str
    worth_retrying: bool = False


class _WithoutUrls(logging.Filter):
    """httpx logs each request with its URL; of these threads' requests nothing is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.threadName or "").startswith(_THREAD)


class _Deadline:
    """Hangs up on a server that trickles its answer: httpx's timeouts are of each read alone."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for found in self._sockets:
            found.close()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's `trace` extension; a duplicate, because TLS takes the socket itself away.

        Of an attempt that was left behind nothing is sent: once connected it is over already.
        """
        if event == "connection.connect_tcp.complete":
            self._sockets.append(info["return_value"].get_extra_info("socket").dup())
            if self.over:
                self._end()

    def _end(self) -> None:
        self.over = True
        for found in self._sockets:
            with suppress(OSError):  # the server has hung up already
                found.shutdown(socket.SHUT_RDWR)


class Destination:
    """One webhook. `send` returns at once; the newest outcome is in `failure`."""

    def __init__(
        self,
        name: str,
        read_url: Callable[[], str],
        on_failure: Callable[[Failure], None] = lambda failure: None,
        *,
        attempts: int = ATTEMPTS,
        backoff_seconds: float = BACKOFF_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """
        Args:
            name: For people: the Secret's name, say; never the URL.
            read_seconds: Until a whole attempt is given up, however little by little an answer arrives.
            on_failure: Called in the destination's thread for every message that is given up.
        """
        _silence()
        self.name = name
        self.failure: Failure | None = None
        self.delivered = 0
        self._read_url = read_url
        self._on_failure = on_failure
        self._attempts, self._backoff = attempts, backoff_seconds
        self._seconds = read_seconds
        self._queue: queue.Queue[Mapping[str, Any]] = queue.Queue(QUEUE_LENGTH)
        self._secret, self._request = Bounded(_THREAD + name), Bounded(_THREAD + name)
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._open = 0
        self._thread = threading.Thread(target=self._run, name=_THREAD + name, daemon=True)
        self._thread.start()

    def send(self, body: Mapping[str, Any]) -> None:
        """Queues one message; where the queue is full, this one is given up."""
        with self._idle:
            self._open += 1
        try:
            self._queue.put_nowait(body)
        except queue.Full:
            self._end_one(Failure("QueueFull", f"{QUEUE_LENGTH} messages wait already"))

    def settle(self, seconds: float) -> bool:
        """Waits until nothing is queued or under way; False when that took longer."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, seconds)

    def stop(self) -> None:
        """What is queued is given up; the thread ends with its current attempt at the latest."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                body = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                failure = self._deliver(body)
            except Exception as error:  # the thread must live; the text may hold the URL
                failure = Failure("Unreachable", f"a fault of Tidegate itself: {type(error).__name__}")
            self._end_one(failure)

    def _end_one(self, failure: Failure | None) -> None:
        if failure is None:
            self.delivered += 1
        else:
            log.warning("notification to %s given up: %s: %s", self.name, failure.reason, failure.message)
            self._on_failure(failure)
        self.failure = failure  # last: who sees it finds it logged and counted
        with self._idle:
            self._open -= 1
            self._idle.notify_all()

    def _deliver(self, body: Mapping[str, Any]) -> Failure | None:
        failure = None
        for attempt in range(self._attempts):
            if attempt and self._stop.wait(self._backoff * 4 ** (attempt - 1) * random.uniform(0.8, 1.2)):
                break
            failure = self._attempt(body)
            if failure is None or not failure.worth_retrying:
                break
        return failure

    def _attempt(self, body: Mapping[str, Any]) -> Failure | None:
        limit = self._seconds + _GRACE_SECONDS
        try:
            url = self._secret(self._read_url, limit)
        except TidegateError as error:
            return Failure("SecretNotReadable", str(error), worth_retrying=True)
        except OverdueError:
            return Failure("SecretNotReadable", f"no answer within {limit:g} s", worth_retrying=True)
        try:
            failure: Failure | None = self._request(lambda: _post(url, body, self._seconds), limit)
        except OverdueError:
            reason = f"no connection within {limit:g} s: does the host's name resolve?"
            return Failure("Unreachable", reason, worth_retrying=True)
        return failure


def _post(url: str, body: Mapping[str, Any], seconds: float) -> Failure | None:
    """One attempt. The answer's body is not read, redirects are not followed."""
    deadline = _Deadline(seconds)
    try:
        status = _status(url, body, httpx.Timeout(seconds, connect=CONNECT_SECONDS), deadline)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Failure("InvalidUrl", "the Secret holds no http or https URL")
    except httpx.ConnectTimeout:
        return Failure("Unreachable", "no connection in time", worth_retrying=True)
    except httpx.HTTPError as error:
        if deadline.over or isinstance(error, httpx.TimeoutException):
            return Failure("Timeout", f"no answer within {seconds:g} s", worth_retrying=True)
        return Failure("Unreachable", f"no connection ({type(error).__name__})", worth_retrying=True)
    if 200 <= status < 300:
        return None
    if status >= 500 or status in _AGAIN:
        return Failure("ServerError", f"answered {status}", worth_retrying=True)
    return Failure("Rejected", f"answered {status}: is the URL in the Secret still valid?")


def _status(url: str, body: Mapping[str, Any], timeout: httpx.Timeout, deadline: _Deadline) -> int:
    headers = {"content-type": "application/json", "user-agent": f"tidegate/{__version__}"}
    content, extensions = json.dumps(body).encode(), {"trace": deadline.trace}
    with (
        httpx.Client(
            timeout=timeout, follow_redirects=False, verify=default_trust()
        ) as client,  # proxies as the environment says
        deadline,
        client.stream("POST", url, content=content, headers=headers, extensions=extensions) as response,
    ):
        return response.status_code


def _silence() -> None:
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, _WithoutUrls) for known in logger.filters):
        logger.addFilter(_WithoutUrls())
