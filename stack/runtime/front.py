"""A thin HTTP front for llama.cpp's server: one request a connection, and no answer within a breath.

Two faults that users would meet as broken answers, each measured through Traefik 3.7:

- llama.cpp's server closes the connection after every streamed answer and announces the opposite
  (`Keep-Alive: timeout=5`), so a client or gateway that reuses it gets nothing or a 502: 55 of 150 requests
  of an HTTP client with a pool, 16 of 240 behind Traefik. Here every answer says `Connection: close`.
- Its 200 and headers leave 3 ms after the request. Behind Traefik 4 % of such streams end cut short ("use of
  closed network connection" in its log), 11 % where the answer comes at once, none of 500 where it comes 5 ms
  later. Why is not proven; we suppose that an answer which begins while the proxy still ends the request
  meets a race there. Here none comes sooner than that.

Bytes are relayed as they are; it knows nothing of models. It also counts what is in flight, for the drain. A
client that closes its side has left: its request is taken back from the model.
"""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field

# Far above the 5 ms from which on no stream was cut, far below any first token.
NOT_BEFORE_SECONDS = 0.02
MAX_HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_HOP_HEADERS = re.compile(
    rb"^(?:connection|keep-alive|proxy-connection):[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE
)


@dataclass
class Front:
    """Relays every connection to one upstream address."""

    upstream_host: str
    upstream_port: int
    in_flight: int = 0
    busy_at: float = field(default_factory=time.monotonic)

    @property
    def quiet_seconds(self) -> float:
        """Since the last generating request ended; 0 while one is in flight. GETs (probes) do not count."""
        return 0.0 if self.in_flight else time.monotonic() - self.busy_at

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Start to accept.

        Raises:
            OSError: The address is not free, or not of this machine.
        """
        return await asyncio.start_server(self._relay, host, port, limit=MAX_HEAD_BYTES)

    async def _relay(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await client.readuntil(b"\r\n\r\n")
            generates = not head.startswith((b"GET ", b"HEAD ", b"OPTIONS "))
            self.in_flight += generates
            try:
                await self._exchange(head, client, answer)
            finally:
                self.in_flight -= generates
                if generates:
                    self.busy_at = time.monotonic()
        answer.close()

    async def _exchange(
        self, head: bytes, client: asyncio.StreamReader, answer: asyncio.StreamWriter
    ) -> None:
        reader, writer = await asyncio.open_connection(
            self.upstream_host, self.upstream_port, limit=MAX_HEAD_BYTES
        )
        request = _Pump(client, writer)
        writer.write(closing(head))
        sending = asyncio.create_task(request.run())
        try:
            await self._answer(reader, answer, request)
        finally:
            sending.cancel()
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, answer: asyncio.StreamWriter, request: "_Pump"
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            answer.write(head)
            head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(request.sent_at + NOT_BEFORE_SECONDS - time.monotonic())
        answer.write(closing(head))
        while chunk := await reader.read(_CHUNK_BYTES):
            answer.write(chunk)
            await answer.drain()


class _Pump:
    """Moves the request's body; a client that leaves takes the upstream's request with it."""

    def __init__(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._source, self._sink = source, sink
        self.sent_at = time.monotonic()

    async def run(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := await self._source.read(_CHUNK_BYTES):
                self._sink.write(chunk)
                self.sent_at = time.monotonic()
                await self._sink.drain()
        self._sink.close()


def closing(head: bytes) -> bytes:
    """The head of a message with `Connection: close` in place of whatever it said of the connection."""
    return _HOP_HEADERS.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n"
