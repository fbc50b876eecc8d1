"""Each request at the gateway, from its JSON access log read through the Kubernetes API (Traefik).

Owns following the log of one gateway pod, and up to when it has been read. A line appears when its request
ends, with its beginning in it. Refuses to judge.

A gateway without requests and a connection that died unseen look the same to who follows: silence. So after
two seconds of it the log is read once without following, from a little before where it was left: that
answers at once if anything does, and brings what was missed. `seen_until` then moves on; a log that cannot
be read lets it stand, and nothing may be concluded from its silence.
"""

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from guard.adapters.kubernetes.client import KubernetesClient
from guard.errors import TidegateError

SILENCE_SECONDS = 2.0
OVERLAP_SECONDS = 2.0  # arbitrary: longer than a line takes from the gateway through the kubelet to here
PAUSE_SECONDS = 0.2  # a container that has ended closes its log at once, again and again

log = logging.getLogger("tidegate.guard")


@dataclass(frozen=True)
class LoggedRequest:
    """One finished request. Times are Unix seconds on the gateway's clock."""

    backend: str
    address: str
    status: int
    started_at: float
    seconds: float
    request_id: str | None


def parse_line(line: bytes) -> LoggedRequest | None:
    """One line of Traefik's JSON access log; None when it is no request to a backend."""
    try:
        row = json.loads(line)
        return LoggedRequest(
            backend=row["ServiceName"],
            address=row["ServiceAddr"],
            status=int(row["DownstreamStatus"]),
            started_at=datetime.fromisoformat(row["StartUTC"]).timestamp(),
            seconds=row["Duration"] / 1e9,
            request_id=row.get("request_X-Request-Id"),
        )
    except (ValueError, KeyError, TypeError):
        return None


class AccessLog:
    """Follows one gateway pod; hands each request to `on_request` once, from its own thread.

    Begins with what was logged `since` (Unix seconds), else about now.

    Attributes:
        seen_until: Everything logged before this moment (monotonic seconds) has been handed over; None
            until the log was read once.
        error: Why it cannot be read now; None while it can.
    """

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        pod: str,
        on_request: Callable[[LoggedRequest], None],
        since: float | None = None,
    ) -> None:
        self.seen_until: float | None = None
        self.error: TidegateError | None = None
        self._client = client
        self._namespace = namespace
        self._pod = pod
        self._on_request = on_request
        self._left_at = time.monotonic() - (0.0 if since is None else max(0.0, time.time() - since))
        self._recent = _Recent()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"access-log-{pod}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends with the next line or silence."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._catch_up():
                self._follow()
            self._stop.wait(PAUSE_SECONDS)

    def _catch_up(self) -> bool:
        """Reads what is there, without waiting for more; whether that worked."""
        asked_at = time.monotonic()
        try:
            for line in self._client.log(self._namespace, self._pod, self._since_seconds()):
                self._take(line)
        except TidegateError as error:
            if self.error is None:
                log.warning("the access log of gateway pod %s is not followed: %s", self._pod, error)
            self.error = error
            return False
        self.error = None
        self.seen_until = self._left_at = asked_at
        return True

    def _follow(self) -> None:
        """Until the log is silent, ends or breaks: which of them, the next reading tells."""
        since = self._since_seconds()
        try:
            for line in self._client.log(
                self._namespace, self._pod, since, follow=True, read_seconds=SILENCE_SECONDS
            ):
                if self._take(line):
                    self.seen_until = self._left_at = time.monotonic()
                if self._stop.is_set():
                    return
        except TidegateError:
            return

    def _since_seconds(self) -> int:
        """By the server's clock, so that it does not matter how far ours is from it."""
        return math.ceil(time.monotonic() - self._left_at + OVERLAP_SECONDS)

    def _take(self, line: bytes) -> bool:
        """Whether the line is a new one."""
        if not self._recent.add(line, time.monotonic(), self._left_at):
            return False
        request = parse_line(line)
        if request:
            self._on_request(request)
        return True


class _Recent:
    """The lines that a log opened again shows again."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._order: deque[tuple[float, int]] = deque()

    def add(self, line: bytes, now: float, left_at: float) -> bool:
        """Whether it is not among them. Forgets those that were read well before the log was left."""
        while self._order and self._order[0][0] < left_at - OVERLAP_SECONDS - 2.0:
            self._known.discard(self._order.popleft()[1])
        key = hash(line)
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append((now, key))
        return True
