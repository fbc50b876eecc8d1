"""Claims about reading Traefik's access log."""

import json
import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest

from guard.adapters.signals.access_log import AccessLog, LoggedRequest, parse_line

ROW = {
    "ServiceName": "x-svc-inference-chat-canary-1@kubernetesgateway",
    "ServiceAddr": "127.20.0.3:8000",
    "DownstreamStatus": 400,
    "Duration": 1500000000,
    "StartUTC": "2026-11-23T17:44:45.585064019Z",
    "request_X-Request-Id": "user-1",
}


def test_a_request_is_known_by_its_beginning() -> None:
    request = parse_line(json.dumps(ROW).encode())
    assert request is not None
    assert request.started_at == pytest.approx(1795455885.585064)
    assert (request.status, request.seconds, request.request_id) == (400, 1.5, "user-1")


@pytest.mark.parametrize(
    "line",
    [b"2026-11-23 INF Starting provider", b"", b"{", b"[1]", b'{"msg": "no request"}'],
    ids=["the program's own log", "empty", "cut off", "no object", "another object"],
)
def test_other_lines_are_no_requests(line: bytes) -> None:
    assert parse_line(line) is None


class Log:
    """A cluster whose gateway has logged one request; remembers how far back it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def follow_log(self, namespace: str, pod: str, since_seconds: int) -> Iterator[bytes]:
        self.asked.append(since_seconds)
        yield json.dumps(ROW).encode()


@pytest.mark.parametrize(
    ("ago", "most"), [(None, 1), (60.0, 90)], ids=["from now on", "since a fault a minute ago"]
)
def test_the_log_is_read_from_where_it_is_wanted(ago: float | None, most: int) -> None:
    log: Any = Log()
    requests: queue.Queue[LoggedRequest] = queue.Queue()
    since = None if ago is None else time.time() - ago
    follower = AccessLog(log, "gateway", "traefik-0", requests.put, since)
    follower.start()
    try:
        assert requests.get(timeout=10).request_id == "user-1"
    finally:
        follower.stop()
    assert (ago or 1) <= log.asked[0] <= most
