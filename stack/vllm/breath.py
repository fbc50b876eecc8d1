"""ASGI middleware for vLLM's `--middleware`: no answer within a breath of the question's last byte.

vLLM sends the status of a stream at once, long before its first token. Behind Traefik 3.7 on two busy cores
12 of 97 such streams were cut, and none of 104 with this; stack/runtime/front.py met the same with llama.cpp
and says what is known of the cause. First tokens come much later than the breath, so nobody waits for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

NOT_BEFORE_SECONDS = 0.02

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Breath:
    """Holds the start of each answer back until `NOT_BEFORE_SECONDS` after the request was read."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        read_at = time.monotonic()

        async def noting() -> Message:
            nonlocal read_at
            message = await receive()
            if message["type"] == "http.request":
                read_at = time.monotonic()
            return message

        async def later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(read_at + NOT_BEFORE_SECONDS - time.monotonic())
            await send(message)

        await self._app(scope, noting, later)
