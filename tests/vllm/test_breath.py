"""An answer begins a breath after the question's last byte, and is otherwise left as it is."""

import asyncio
import time
from typing import Any

from stack.vllm.breath import NOT_BEFORE_SECONDS, Breath


def exchange() -> tuple[list[dict[str, Any]], float]:
    """Messages that were sent, and seconds from the request's last byte to the first of them."""
    sent: list[tuple[float, dict[str, Any]]] = []
    read_at = 0.0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"tide"})

    async def receive() -> dict[str, Any]:
        nonlocal read_at
        read_at = time.monotonic()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append((time.monotonic(), message))

    asyncio.run(Breath(app)({"type": "http"}, receive, send))
    return [message for _, message in sent], sent[0][0] - read_at


def test_an_answer_that_is_ready_at_once_waits_for_the_breath() -> None:
    _, seconds = exchange()
    assert seconds > NOT_BEFORE_SECONDS - 0.001  # a timer may be early by the clock's resolution


def test_messages_pass_unchanged_and_in_order() -> None:
    messages, _ = exchange()
    assert messages == [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.body", "body": b"tide"},
    ]
