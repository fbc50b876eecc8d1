"""Claims about sending by webhook, against a local server that takes, refuses, fails or hangs."""

import contextlib
import json
import logging
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from guard.adapters.notify.webhook import QUEUE_LENGTH, Destination
from guard.errors import ConfigurationError

SECRET_PATH = "/services/T0/B0/verysecrettoken"
PATIENCE_SECONDS = 20.0


class Chat:
    """A chat server: answers with the next of `answers`, the last one for ever; `hang` answers nothing."""

    def __init__(self) -> None:
        self.answers: list[int] = [200]
        self.bodies: list[dict[str, object]] = []
        self.hang = False
        self.go_on = threading.Event()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if chat.hang:
                    chat.go_on.wait(PATIENCE_SECONDS)
                    return
                chat.bodies.append(json.loads(body))
                status = chat.answers.pop(0) if len(chat.answers) > 1 else chat.answers[0]
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.60.2.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.60.2.1:{self._server.server_port}{SECRET_PATH}"

    def stop(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def chat() -> Iterator[Chat]:
    server = Chat()
    yield server
    server.stop()


@pytest.fixture
def given_up() -> list[str]:
    return []


@pytest.fixture
def destination(chat: Chat, given_up: list[str]) -> Iterator[Destination]:
    found = Destination(
        "guard chat, Secret hook",
        lambda: chat.url,
        lambda failure: given_up.append(failure.reason),
        backoff_seconds=0.001,
        read_seconds=PATIENCE_SECONDS,
    )
    yield found
    found.stop()


def test_a_message_arrives_as_json_and_once(chat: Chat, destination: Destination) -> None:
    destination.send({"event": "RolledBack"})
    assert destination.settle(PATIENCE_SECONDS)
    assert chat.bodies == [{"event": "RolledBack"}]
    assert destination.failure is None


def test_a_server_that_fails_is_asked_again_and_order_is_kept(
    chat: Chat, destination: Destination, given_up: list[str]
) -> None:
    chat.answers = [503, 429, 200]
    destination.send({"n": 1})
    destination.send({"n": 2})
    assert destination.settle(PATIENCE_SECONDS)
    assert [body["n"] for body in chat.bodies] == [1, 1, 1, 2]
    assert given_up == []


@pytest.mark.parametrize(
    ("status", "attempts", "reason"),
    [(500, 4, "ServerError"), (404, 1, "Rejected"), (302, 1, "Rejected")],
    ids=["a server error is tried four times", "a refusal is final", "a redirect is not followed"],
)
def test_a_message_is_given_up_within_bounds(
    chat: Chat, destination: Destination, given_up: list[str], status: int, attempts: int, reason: str
) -> None:
    chat.answers = [status]
    destination.send({})
    assert destination.settle(PATIENCE_SECONDS)
    assert len(chat.bodies) == attempts
    assert given_up == [reason]
    assert destination.failure is not None
    assert str(status) in destination.failure.message


def test_a_server_that_hangs_holds_nobody_up(
    chat: Chat, destination: Destination, given_up: list[str]
) -> None:
    chat.hang = True
    for _ in range(QUEUE_LENGTH + 2):  # one is under way, so the last one finds the queue full
        destination.send({})
    assert "QueueFull" in given_up, "sending must not wait for a place"
    chat.hang = False
    chat.go_on.set()
    assert destination.settle(PATIENCE_SECONDS)
    assert destination.failure is None


def test_no_answer_is_a_timeout_and_no_listener_unreachable(chat: Chat, given_up: list[str]) -> None:
    chat.hang = True
    hung = Destination(
        "n", lambda: chat.url, lambda f: given_up.append(f.reason), attempts=1, read_seconds=0.1
    )
    hung.send({})
    assert hung.settle(PATIENCE_SECONDS)
    hung.stop()
    nobody = Destination(
        "n", lambda: "http://127.60.2.9:9/x", lambda f: given_up.append(f.reason), backoff_seconds=0.001
    )
    nobody.send({})
    assert nobody.settle(PATIENCE_SECONDS)
    nobody.stop()
    assert given_up == ["Timeout", "Unreachable"]


def test_an_answer_that_trickles_for_ever_is_a_timeout(given_up: list[str]) -> None:
    """Each byte comes well in time; the answer never does."""
    over = threading.Event()

    class Trickle(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the other side has hung up
                self.request.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
                while not over.wait(0.02):
                    self.request.sendall(b"x")

    with socketserver.ThreadingTCPServer(("127.60.2.1", 0), Trickle) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        url = f"http://127.60.2.1:{server.server_address[1]}/x"
        slow = Destination(
            "n", lambda: url, lambda f: given_up.append(f.reason), attempts=1, read_seconds=0.3
        )
        try:
            slow.send({})
            assert slow.settle(PATIENCE_SECONDS)
        finally:
            slow.stop()
            over.set()
            server.shutdown()
            serving.join()
    assert given_up == ["Timeout"]


class Resolver:
    """Answers for one host only when it is let go; the others are looked up as ever."""

    HOST = "hangs.example"

    def __init__(self, address: str) -> None:
        self.asked = 0
        self.go_on = threading.Event()
        self._address, self._real = address, socket.getaddrinfo

    def __call__(self, host: object, *more: object, **named: object) -> object:
        if host != self.HOST:
            return self._real(host, *more, **named)  # type: ignore[arg-type]
        self.asked += 1
        self.go_on.wait(PATIENCE_SECONDS)
        return self._real(self._address, *more, **named)  # type: ignore[arg-type]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver("127.60.2.1")
    monkeypatch.setattr("guard.adapters.notify.webhook._GRACE_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.go_on.set()


def test_a_resolver_that_hangs_is_tried_again_within_bounds_and_told(
    chat: Chat, resolver: Resolver, given_up: list[str]
) -> None:
    url = chat.url.replace("127.60.2.1", Resolver.HOST)
    lost = Destination(
        "n", lambda: url, lambda f: given_up.append(f.reason), backoff_seconds=0.001, read_seconds=0.1
    )
    began = time.monotonic()
    lost.send({"n": 1})
    assert time.monotonic() - began < 0.1, "sending waits for nobody"
    assert lost.settle(PATIENCE_SECONDS)
    assert given_up == ["Unreachable"]
    assert lost.failure is not None
    assert "does the host's name resolve" in lost.failure.message
    assert resolver.asked == 1, "one lookup hangs, not one for each attempt"
    resolver.go_on.set()
    lost._request(lambda: None, PATIENCE_SECONDS)  # the one that was left behind has ended
    assert chat.bodies == [], "what was given up must not arrive after all"
    slow = Destination("n", lambda: url)
    slow.send({"n": 2})
    assert slow.settle(PATIENCE_SECONDS)
    assert chat.bodies == [{"n": 2}]
    for destination in (lost, slow):
        destination.stop()


def test_a_secret_that_is_never_answered_is_told(given_up: list[str], resolver: Resolver) -> None:
    def hangs() -> str:
        resolver.go_on.wait(PATIENCE_SECONDS)
        return ""

    lost = Destination(
        "n", hangs, lambda f: given_up.append(f.reason), attempts=2, backoff_seconds=0.001, read_seconds=0.05
    )
    lost.send({})
    assert lost.settle(PATIENCE_SECONDS)
    lost.stop()
    assert given_up == ["SecretNotReadable"]


def test_a_resolver_that_hangs_keeps_no_process_from_ending() -> None:
    code = """
import socket, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from guard.adapters.notify.webhook import Destination
found = Destination("n", lambda: "http://hangs.example/x")
found.send({})
assert not found.settle(0.2)
found.stop()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_SECONDS)


def test_a_failure_is_over_when_a_message_arrives(chat: Chat, destination: Destination) -> None:
    chat.answers = [404, 200]
    destination.send({})
    assert destination.settle(PATIENCE_SECONDS)
    assert destination.failure is not None
    destination.send({})
    assert destination.settle(PATIENCE_SECONDS)
    assert destination.failure is None


def test_a_secret_that_cannot_be_read_is_told(given_up: list[str]) -> None:
    def unreadable() -> str:
        raise ConfigurationError("Secret hook has no key 'url'; it has token")

    lost = Destination("n", unreadable, lambda f: given_up.append(f.reason), backoff_seconds=0.001)
    lost.send({})
    assert lost.settle(PATIENCE_SECONDS)
    lost.stop()
    assert given_up == ["SecretNotReadable"]


@pytest.mark.parametrize("url", ["", "chat.example/hook", "ftp://chat.example/x", "http://[::1"])
def test_what_is_no_url_is_given_up_at_once(given_up: list[str], url: str) -> None:
    wrong = Destination("n", lambda: url, lambda f: given_up.append(f.reason))
    wrong.send({})
    assert wrong.settle(PATIENCE_SECONDS)
    wrong.stop()
    assert given_up == ["InvalidUrl"]


def test_the_url_is_never_logged_nor_repeated(
    chat: Chat, destination: Destination, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        chat.answers = [200, 500]
        destination.send({})
        destination.send({})
        assert destination.settle(PATIENCE_SECONDS)
        httpx.get(chat.url.replace(SECRET_PATH, "/others"))
    assert "given up" in caplog.text
    assert "/others" in caplog.text, "only our own requests are silent"
    assert "verysecrettoken" not in caplog.text
    assert "verysecrettoken" not in str(destination.failure)
