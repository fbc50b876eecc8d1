"""Answers on their way out: whole JSON bodies, and streams that end when the client leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Send

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Reply:
    """One answer. `body` is sent as JSON unless it is text or bytes; `stream` takes its place if given.

    `raw_headers` are another server's, and then the only ones.
    """

    body: Any = None
    code: int = 200
    content_type: str = JSON_TYPE
    warnings: tuple[str, ...] = ()
    stream: AsyncIterator[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_headers: tuple[tuple[bytes, bytes], ...] | None = None


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _start(reply: Reply, length: int | None) -> Message:
    if reply.raw_headers is not None:
        sized = ((b"content-length", str(length).encode()),) if length is not None else ()
        return {
            "type": "http.response.start",
            "status": reply.code,
            "headers": [*reply.raw_headers, *sized],
        }
    headers = [(b"content-type", reply.content_type.encode()), (b"cache-control", b"no-cache, private")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    for text in reply.warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        headers.append((b"warning", f'299 - "{escaped}"'.encode()))
    headers += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.code, "headers": headers}


async def send_reply(reply: Reply, receive: Receive, send: Send) -> None:
    if reply.stream is not None:
        await _send_stream(reply, reply.stream, receive, send)
        return
    body = reply.body
    if isinstance(body, str):
        body = body.encode()
    data = body if isinstance(body, bytes) else dump(body)
    await send(_start(reply, len(data)))
    await send({"type": "http.response.body", "body": data})


async def _send_stream(reply: Reply, chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send headers at once, then chunks; stop as soon as the client is gone, also while none comes."""
    await send(_start(reply, None))
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    pump = asyncio.ensure_future(_pump(chunks, send))
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        pump.cancel()
        results = await asyncio.gather(pump, gone, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]
    if results[0] is None:
        await send({"type": "http.response.body", "body": b""})


async def _pump(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
