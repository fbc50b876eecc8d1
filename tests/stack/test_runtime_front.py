"""The front of llama.cpp's server: what it says of connections, when it answers, what it counts."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from stack.runtime.front import NOT_BEFORE_SECONDS, Front, closing

POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}"
)
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"


class Upstream:
    """A server that says `ANSWER` once `answer` is set, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = b""
        self.answer = asyncio.Event()
        self.left = asyncio.Event()
        self.reached = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += await reader.readuntil(b"\r\n\r\n")
        self.reached.set()
        left = asyncio.create_task(self._watch(reader))
        await asyncio.wait([left, asyncio.create_task(self.answer.wait())], return_when="FIRST_COMPLETED")
        if not self.left.is_set():
            writer.write(ANSWER)
        writer.close()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        while more := await reader.read(1024):
            self.asked += more
        self.left.set()


Scenario = Callable[[Front, Upstream, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """One connection to a front of one upstream."""

    async def run() -> None:
        upstream = Upstream()
        inner = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        front = Front("127.0.0.1", inner.sockets[0].getsockname()[1])
        outer = await front.serve("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*outer.sockets[0].getsockname())
        try:
            async with asyncio.timeout(20):
                await scenario(front, upstream, reader, writer)
        finally:
            writer.close()
            outer.close()
            inner.close()

    asyncio.run(run())


def test_an_answer_is_relayed_whole_and_announces_the_close() -> None:
    async def scenario(
        front: Front, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream.answer.set()
        writer.write(POST)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.splitlines()[0] == b"HTTP/1.1 200 OK"
        assert b"Connection: close" in head
        assert b"Keep-Alive" not in head
        assert body == b"2\r\nhi\r\n0\r\n\r\n"
        assert b"keep-alive" not in upstream.asked
        assert upstream.asked.endswith(b"\r\n\r\n{}")

    play(scenario)


def test_no_answer_comes_within_the_gateways_race() -> None:
    async def scenario(
        front: Front, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream.answer.set()
        asked_at = time.monotonic()
        writer.write(POST)
        await reader.read(1)
        assert time.monotonic() - asked_at >= NOT_BEFORE_SECONDS

    play(scenario)


def test_a_client_that_leaves_takes_its_request_with_it() -> None:
    async def scenario(
        front: Front, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(POST)
        await upstream.reached.wait()
        writer.close()
        await upstream.left.wait()

    play(scenario)


@pytest.mark.parametrize(("request_bytes", "counted"), [(POST, 1), (GET, 0)])
def test_only_what_generates_is_in_flight(request_bytes: bytes, counted: int) -> None:
    async def scenario(
        front: Front, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(request_bytes)
        await upstream.reached.wait()
        assert front.in_flight == counted
        upstream.answer.set()
        await reader.read()
        assert front.in_flight == 0

    play(scenario)


def test_a_dead_model_server_closes_the_connection() -> None:
    async def run() -> bytes:
        front = Front("127.0.0.1", 1)
        outer = await front.serve("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*outer.sockets[0].getsockname())
        writer.write(POST)
        answer = await reader.read()
        writer.close()
        outer.close()
        return answer

    assert asyncio.run(run()) == b""


def test_a_head_keeps_everything_but_its_connection() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nCONNECTION: upgrade\r\nX-A: keep-alive\r\n\r\n"
    assert closing(head) == b"GET / HTTP/1.1\r\nHost: x\r\nX-A: keep-alive\r\nConnection: close\r\n\r\n"
