"""vLLM's HTTP API over a script: health, version, models, chat completions, tokenize, metrics.

Owns the wire forms, errors included, and the log of exact send times. Refuses to know sockets: `server`
serves the app. Runs on one event loop, so nothing here locks.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from guard.testing.runtime.metrics import Metrics
from guard.testing.runtime.script import FaultKind, Script

_CHAT = "/v1/chat/completions"
_TOKENS_BEFORE_A_BREAK = 3


@dataclass
class Sent:
    """What one completion did, on CLOCK_MONOTONIC: `received_at`, and when each token was handed over."""

    request_id: str | None
    received_at: float
    token_at: list[float] = field(default_factory=list)


@dataclass
class ScriptedApp:
    """The state behind the routes. `script` may be replaced at any time."""

    script: Script
    started_at: float = field(default_factory=time.monotonic)
    sent: list[Sent] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self._random = random.Random(self.script.seed)

    def starlette(self) -> Starlette:
        routes = [
            Route("/health", self._health),
            Route("/version", self._version),
            Route("/v1/models", self._guarded(self._models)),
            Route("/metrics", self._metrics_page),
            Route("/tokenize", self._guarded(self._tokenize), methods=["POST"]),
            Route(_CHAT, self._guarded(self._chat), methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def faulty(self, kind: FaultKind) -> bool:
        """Whether a fault has begun."""
        age = time.monotonic() - self.started_at
        return any(fault.kind is kind and age >= fault.after_seconds for fault in self.script.faults)

    def _guarded(
        self, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            key = self.script.api_key
            if key is not None and request.headers.get("authorization") != f"Bearer {key}":
                response: Response = JSONResponse({"error": "Unauthorized"}, 401)
            else:
                response = await handler(request)
            self.metrics.http[request.url.path, request.method, f"{response.status_code // 100}xx"] += 1
            return response

        return checked

    async def _health(self, _: Request) -> Response:
        return Response(status_code=503 if self.faulty(FaultKind.UNHEALTHY) else 200)

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"version": self.script.version})

    async def _models(self, _: Request) -> Response:
        entry = {
            "id": self.script.model,
            "object": "model",
            "owned_by": self.script.owned_by,
            "root": self.script.model,
            "parent": None,
            "max_model_len": self.script.max_model_len,
        }
        return JSONResponse({"object": "list", "data": [entry]})

    async def _metrics_page(self, _: Request) -> Response:
        return PlainTextResponse(self.metrics.exposition(self.script.model))

    async def _tokenize(self, request: Request) -> Response:
        body = await request.json()
        count = len(words(body.get("prompt") or _prompt(body.get("messages", []))))
        return JSONResponse({"count": count, "max_model_len": self.script.max_model_len})

    async def _chat(self, request: Request) -> Response:
        log = Sent(request.headers.get("x-request-id"), time.monotonic())
        self.sent.append(log)
        body = await request.json()
        if self.script.status_seconds:
            await asyncio.sleep(self.script.status_seconds)
        if refusal := self._refusal(body):
            return refusal
        self.metrics.running += 1
        if self.faulty(FaultKind.HANG):
            await self._forever()
        if body.get("stream"):
            return StreamingResponse(self._stream(body, log), media_type="text/event-stream")
        return await self._document(body, log)

    def _refusal(self, body: Mapping[str, Any]) -> Response | None:
        script = self.script
        if script.checks_model_name and body.get("model") != script.model:
            message = f"The model `{body.get('model')}` does not exist."
            return _error(404, "NotFoundError", message, param="model")
        asked = len(words(_prompt(body["messages"])))
        if asked >= script.max_model_len:
            limit = script.max_model_len
            message = (
                f"This model's maximum context length is {limit} tokens. However, your request has "
                f"{asked} input tokens. Please reduce the length of the input messages."
            )
            return _error(400, "BadRequestError", message, param="input_tokens")
        if self.faulty(FaultKind.HTTP500) or self._random.random() < script.error_ratio:
            return _error(500, "InternalServerError", "EngineCore encountered an issue.")
        return None

    async def _forever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.metrics.running -= 1

    def _answer(self, body: Mapping[str, Any]) -> tuple[list[str], str]:
        """Tokens and finish_reason."""
        if self.faulty(FaultKind.EMPTY):
            return [], "stop"
        text = self.script.answer(body["messages"])
        if self.faulty(FaultKind.LEAK_SPECIAL):
            text += "<|im_end|>\n<|im_start|>assistant"
        tokens = words(text)
        limit = int(body.get("max_tokens") or body.get("max_completion_tokens") or len(tokens) or 1)
        if self.faulty(FaultKind.REPETITIVE):
            tokens = [" tide"] * limit
        return tokens[:limit], "length" if len(tokens) > limit else "stop"

    async def _paced(self, tokens: list[str], log: Sent) -> AsyncIterator[tuple[int, str]]:
        """Each token when it is due, from the time the request came: waits do not add up to a drift."""
        for index, token in enumerate(tokens):
            due = log.received_at + self.script.ttft_seconds + index * self.script.itl_seconds
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            log.token_at.append(time.monotonic())
            yield index, token

    async def _document(self, body: Mapping[str, Any], log: Sent) -> Response:
        tokens, reason = self._answer(body)
        try:
            async for _ in self._paced(tokens, log):
                pass
        finally:
            self._finish(body, log, reason)
        if self.faulty(FaultKind.GARBAGE):
            return Response(b'{"choices": [', media_type="application/json")
        message = {"role": "assistant", "content": "".join(tokens)}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        frame = self._frame("chat.completion", [choice])
        return JSONResponse(frame | {"usage": _usage(body, len(tokens))})

    async def _stream(self, body: Mapping[str, Any], log: Sent) -> AsyncIterator[bytes]:
        tokens, reason = self._answer(body)
        ended = "abort"
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async for index, token in self._paced(tokens, log):
                if index == _TOKENS_BEFORE_A_BREAK and self.faulty(FaultKind.TRUNCATE):
                    return
                if index == _TOKENS_BEFORE_A_BREAK and self.faulty(FaultKind.STALL):
                    await asyncio.Event().wait()
                yield (
                    b"data: {tide\n\n" if self.faulty(FaultKind.GARBAGE) else self._chunk({"content": token})
                )
            yield self._chunk({}, reason)
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _event(self._frame("chat.completion.chunk", []) | {"usage": _usage(body, len(tokens))})
            yield b"data: [DONE]\n\n"
            ended = reason
        finally:
            self._finish(body, log, ended)

    def _finish(self, body: Mapping[str, Any], log: Sent, reason: str) -> None:
        metrics, at = self.metrics, log.token_at
        metrics.running -= 1
        metrics.finished[reason] += 1
        metrics.prompt_tokens += len(words(_prompt(body["messages"])))
        metrics.generation_tokens += len(at)
        metrics.e2e.observe(time.monotonic() - log.received_at)
        if at:
            metrics.ttft.observe(at[0] - log.received_at)
        for earlier, later in pairwise(at):
            metrics.itl.observe(later - earlier)

    def _chunk(self, delta: Mapping[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _event(self._frame("chat.completion.chunk", [choice]))

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{len(self.sent)}",
            "object": kind,
            "created": int(time.time()),
            "model": self.script.model,
            "choices": choices,
        }


def words(text: str) -> list[str]:
    """A token is a word with the blanks before it; joined they are the text again."""
    return re.findall(r"\s*\S+", text)


def _prompt(messages: list[Mapping[str, str]]) -> str:
    return "\n".join(str(message.get("content", "")) for message in messages)


def _usage(body: Mapping[str, Any], output_tokens: int) -> dict[str, Any]:
    prompt_tokens = len(words(_prompt(body["messages"])))
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt_tokens + output_tokens,
    }


def _event(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _error(status: int, kind: str, message: str, param: str | None = None) -> Response:
    """vLLM's error body."""
    error = {"message": message, "type": kind, "param": param, "code": status}
    return JSONResponse({"error": error}, status)
