"""Each request at the gateway, from its JSON access log read through the Kubernetes API (Traefik).

Owns following the log of every gateway pod and saying when a backend's last new request began: the exact
form of "no new user request reaches the canary". A line appears when its request ends, with its beginning
in it, and may be read more than once. Optional: a gateway that logs nothing leaves `last_started_at` at None,
and callers fall back to counters. Refuses to judge.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from guard.adapters.kubernetes.client import KubernetesClient
from guard.errors import TidegateError


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
    """Follows one gateway pod; hands each request to `on_request` from its own thread.

    Begins with what was logged `since` (Unix seconds), else about now.
    """

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        pod: str,
        on_request: Callable[[LoggedRequest], None],
        since: float | None = None,
    ) -> None:
        self.error: TidegateError | None = None
        self._follow: Callable[[], Iterator[bytes]] = lambda: client.follow_log(
            namespace, pod, since_seconds=_seconds_since(since)
        )
        self._on_request = on_request
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"access-log-{pod}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for line in self._follow():
                    request = parse_line(line)
                    if request:
                        self._on_request(request)
                    if self._stop.is_set():
                        return
            except TidegateError as error:
                self.error = error
            self._stop.wait(1.0)


def _seconds_since(moment: float | None) -> int:
    """As the API counts: whole seconds, at least 1."""
    return 1 if moment is None else max(1, math.ceil(time.time() - moment))
