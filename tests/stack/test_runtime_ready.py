"""The startup probe: only a generated token is readiness."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stack.runtime.ready import main


class _Runtime(http.server.BaseHTTPRequestHandler):
    answer: tuple[int, bytes]
    asked: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.path, self.headers["x-request-id"], json.loads(body)))
        status, content = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def runtime() -> Iterator[tuple[str, type[_Runtime]]]:
    handler = type("Handler", (_Runtime,), {"asked": [], "answer": (200, b'{"choices": [{}]}')})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_one_token_is_asked_for_under_a_name_of_our_own(runtime: tuple[str, type[_Runtime]]) -> None:
    url, handler = runtime
    assert main(["--url", url, "--model", "m"]) == 0
    ((path, request_id, body),) = handler.asked
    assert path == "/v1/chat/completions"
    assert request_id.startswith("tidegate-")
    assert (body["model"], body["max_tokens"]) == ("m", 1)


@pytest.mark.parametrize(
    "answer",
    [(503, b'{"error": "loading"}'), (200, b'{"choices": []}'), (200, b"<html>"), (200, b"[]")],
)
def test_anything_but_a_completion_is_not_ready(
    runtime: tuple[str, type[_Runtime]], answer: tuple[int, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = runtime
    handler.answer = answer
    assert main(["--url", url, "--model", "m"]) == 1
    assert capsys.readouterr().err.startswith("not ready: ")


def test_a_closed_port_is_not_ready(runtime: tuple[str, type[_Runtime]]) -> None:
    assert main(["--url", "http://127.0.0.1:1", "--model", "m"]) == 1
