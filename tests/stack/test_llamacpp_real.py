"""The runtime server as its users meet it: real model, real HTTP."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.real

MODEL = "smollm2-135m-instruct"


class Server:
    """`python -m stack.runtime.llamacpp`, serving."""

    def __init__(self, host: str, *options: str) -> None:
        command = [sys.executable, "-m", "stack.runtime.llamacpp", f"--model={MODEL}", f"--host={host}"]
        self.process = subprocess.Popen(
            [*command, "--port=0", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.url = next(line.split()[-1] for line in self.process.stdout if line.startswith("serving on"))

    def chat(self, content: str, **fields: Any) -> httpx.Response:
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=60, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False)


@contextmanager
def serving(host: str, *options: str) -> Iterator[Server]:
    server = Server(host, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("127.20.3.1", "--ctx-size=256") as server:
        yield server


def test_it_names_its_model_and_says_that_it_is_healthy(server: Server) -> None:
    assert server.get("/health").status_code == 200
    assert [m["id"] for m in server.get("/v1/models").json()["data"]] == [MODEL]


def test_it_shows_its_chat_template_its_slots_and_its_counters(server: Server) -> None:
    props = server.get("/props").json()
    assert "<|im_start|>" in props["chat_template"]
    assert props["total_slots"] == 2
    assert "llamacpp:requests_processing" in server.get("/metrics").text


def test_each_slot_has_the_context_that_was_asked_for(server: Server) -> None:
    assert server.chat("word " * 150, max_tokens=1).status_code == 200
    refused = server.chat("word " * 300, max_tokens=1)
    assert refused.status_code == 400
    assert refused.json()["error"]["n_ctx"] == 256


def test_a_stream_ends_whole_although_the_server_was_told_to_end() -> None:
    with serving("127.20.3.2") as server:
        body = {"messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": 60, "stream": True}
        url = f"{server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60, trust_env=False) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert server.process.wait(30) == 0


def test_a_client_that_keeps_its_connections_gets_every_stream_whole(server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "stream": True}
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        for _ in range(10):
            assert client.post("/v1/chat/completions", json=body).text.endswith("data: [DONE]\n\n")


def test_another_chat_template_changes_the_prompt_and_not_the_health() -> None:
    with serving("127.20.3.3", "--chat-template", "{{ messages[-1]['content'][:1] }}") as server:
        assert server.get("/health").status_code == 200
        assert server.chat("A long question", max_tokens=1).json()["usage"]["prompt_tokens"] <= 2


def test_two_servers_with_a_thread_each_serve_side_by_side() -> None:
    with serving("127.20.3.4") as one, serving("127.20.3.5") as other:
        answers: list[int] = []

        def ask(server: Server) -> None:
            answers.extend(server.chat("hi", max_tokens=8).status_code for _ in range(3))

        threads = [threading.Thread(target=ask, args=(server,)) for server in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 6
