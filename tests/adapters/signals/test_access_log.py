"""Claims about reading Traefik's access log."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.kubernetes.client import KubernetesClient
from guard.adapters.signals import access_log
from guard.adapters.signals.access_log import AccessLog, LoggedRequest, parse_line
from guard.errors import TidegateError, UnreachableError

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


def line(number: int) -> bytes:
    return json.dumps({**ROW, "request_X-Request-Id": f"user-{number}"}).encode()


class Log:
    """A pod's log behind an API server: all of it is as young as is asked for.

    `follow` gives what a follower is shown; then the stream is silent and breaks off.
    """

    def __init__(self, lines: int = 0) -> None:
        self.lines = [line(n) for n in range(lines)]
        self.unseen: list[bytes] = []  # written while a follower's connection was dead
        self.asked: list[int] = []
        self.error: TidegateError | None = None
        self.readings = 0

    def log(
        self,
        namespace: str,
        pod: str,
        since_seconds: int,
        *,
        follow: bool = False,
        read_seconds: float = 10.0,
    ) -> Iterator[bytes]:
        self.asked.append(since_seconds)
        if self.error:
            raise self.error
        self.readings += not follow
        yield from self.lines
        if follow:
            self.lines += self.unseen
            self.unseen = []
            raise UnreachableError(f"silent for {read_seconds} s")


class Followed:
    """A follower and the requests that it has told of."""

    def __init__(self, log: Any, since: float | None = None) -> None:
        self.requests: queue.Queue[LoggedRequest] = queue.Queue()
        self.follower = AccessLog(log, "gateway", "traefik-0", self.requests.put, since)

    def __enter__(self) -> "Followed":
        self.follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.follower.stop()

    def ids(self, count: int) -> list[str | None]:
        return [self.requests.get(timeout=10).request_id for _ in range(count)]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("ago", "least", "most"),
    [(None, 1, 5), (60.0, 60, 90)],
    ids=["from now on", "since a fault a minute ago"],
)
def test_the_log_is_read_from_where_it_is_wanted(ago: float | None, least: int, most: int) -> None:
    log = Log(1)
    with Followed(log, None if ago is None else time.time() - ago) as followed:
        assert followed.ids(1) == ["user-0"]
    assert least <= log.asked[0] <= most


def test_what_was_logged_behind_a_dead_connection_is_read_and_nothing_is_told_twice() -> None:
    log = Log(2)
    log.unseen = [line(2), line(3)]
    with Followed(log) as followed:
        assert followed.ids(4) == ["user-0", "user-1", "user-2", "user-3"]
        known = log.readings
        until(lambda: log.readings > known + 2)
    assert followed.requests.empty()


def test_a_quiet_gateway_is_no_error_and_its_log_stays_seen() -> None:
    with Followed(Log()) as followed:
        until(lambda: followed.follower.seen_until is not None)
        first = followed.follower.seen_until
        until(lambda: followed.follower.seen_until != first)
        assert followed.follower.error is None


def test_a_log_that_cannot_be_read_is_an_error_and_is_not_seen_any_further() -> None:
    log = Log(1)
    with Followed(log) as followed:
        until(lambda: followed.follower.seen_until is not None)
        log.error = UnreachableError("the API server is gone")
        until(lambda: followed.follower.error is not None)
        stopped_at = followed.follower.seen_until
        asked = len(log.asked)
        until(lambda: len(log.asked) > asked + 2)
        assert followed.follower.seen_until == stopped_at
        log.error = None
        log.lines.append(line(1))
        assert followed.ids(2) == ["user-0", "user-1"]
        until(lambda: followed.follower.error is None)


def test_the_same_request_long_after_is_another_one() -> None:
    recent = access_log._Recent()
    assert recent.add(b"a", now=100.0, left_at=100.0)
    assert not recent.add(b"a", now=101.0, left_at=100.0)
    assert recent.add(b"b", now=200.0, left_at=200.0)
    assert recent.add(b"a", now=200.0, left_at=200.0)


def test_a_half_open_connection_is_left_and_a_new_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "SILENCE_SECONDS", 0.1)
    with SilentApi() as api, Followed(api.client(tmp_path)) as followed:
        assert followed.ids(2) == ["user-0", "user-1"]


class SilentApi:
    """An API server over HTTP that never answers a follower; each reading finds one more line."""

    def __init__(self) -> None:
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "follow=true" not in self.path:
                    body = b"".join(line(n) + b"\n" for n in range(outer.readings))
                    outer.readings += 1
                    self.send_response(200)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                outer.released.wait(20)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.readings = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def client(self, folder: Path) -> KubernetesClient:
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        config = {"clusters": [cluster], "contexts": [context], "current-context": "c"}
        file = folder / "kubeconfig"
        file.write_text(json.dumps({**config, "users": [{"name": "u", "user": {}}]}))
        return KubernetesClient(str(file))

    def __enter__(self) -> "SilentApi":
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
