"""A streamed chat completion as it arrives: bytes in, text, facts and token times out.

Owns the server-sent-events form of OpenAI's API and what counts as a token. Does no I/O and reads no clock:
`feed` is told when its bytes were read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.core.samples import Outcome
from guard.core.text import one_line

_TEXT_KEYS = ("content", "reasoning_content", "reasoning")


@dataclass
class StreamFacts:
    """What the raw chunks of one stream said.

    Attributes:
        role: A chunk named the assistant's role.
        finish_reason: `stop`, `length`, ...; None when no chunk gave one.
        done: `[DONE]` was read.
        usage: The token counts, as sent.
        chunks: Parsed `data:` events, [DONE] left out.
        malformed: `data:` events that were no JSON object.
        error: The message of an error event.
    """

    role: bool = False
    finish_reason: str | None = None
    done: bool = False
    usage: Mapping[str, Any] | None = None
    chunks: int = 0
    malformed: int = 0
    error: str | None = None


@dataclass
class ChatStream:
    """Feed it the body; read the rest. A token is a non-empty content, reasoning or tool-call delta."""

    facts: StreamFacts = field(default_factory=StreamFacts)
    model: str | None = None
    system_fingerprint: str | None = None
    token_at: list[float] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _rest: bytes = b""

    @property
    def text(self) -> str:
        """Content deltas joined; reasoning and tool calls are not part of it."""
        return "".join(self._text)

    def feed(self, data: bytes, at: float) -> None:
        """Bytes as read from the connection, and the time of that read."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), at)

    def _event(self, payload: bytes, at: float) -> None:
        if payload == b"[DONE]":
            self.facts.done = True
            return
        try:
            chunk = json.loads(payload)
        except ValueError:
            chunk = None
        if isinstance(chunk, dict):
            self._chunk(chunk, at)
        else:
            self.facts.malformed += 1

    def _chunk(self, chunk: dict[str, Any], at: float) -> None:
        self.facts.chunks += 1
        if chunk.get("error") is not None:
            self.facts.error = error_message(chunk)
            return
        self.model = _string(chunk.get("model")) or self.model
        self.system_fingerprint = _string(chunk.get("system_fingerprint")) or self.system_fingerprint
        if isinstance(usage := chunk.get("usage"), dict):
            self.facts.usage = usage
        for choice in _dicts(chunk.get("choices")):
            self.facts.finish_reason = _string(choice.get("finish_reason")) or self.facts.finish_reason
            if isinstance(delta := choice.get("delta"), dict):
                self._delta(delta, at)

    def _delta(self, delta: dict[str, Any], at: float) -> None:
        self.facts.role = self.facts.role or delta.get("role") == "assistant"
        if content := _string(delta.get("content")):
            self._text.append(content)
        if delta.get("tool_calls") or any(_string(delta.get(key)) for key in _TEXT_KEYS):
            self.token_at.append(at)


def stream_outcome(facts: StreamFacts) -> tuple[Outcome, str | None]:
    """What an event stream that has ended was: whole, or what was wrong with it, in one line.

    TRUNCATED, for lack of a finish_reason or [DONE], says nothing of why it ended: a caller that gave up
    waiting knows better.
    """
    if facts.error is not None:
        return Outcome.ERROR, f"error in the stream: {facts.error}"
    if facts.malformed:
        return Outcome.INVALID, f"{facts.malformed} events of the stream are not JSON objects"
    if facts.finish_reason and facts.done:
        return Outcome.OK, None
    missing = " and ".join(
        name for name, seen in (("finish_reason", facts.finish_reason), ("[DONE]", facts.done)) if not seen
    )
    return Outcome.TRUNCATED, f"the stream ended without {missing}"


def error_message(body: object) -> str:
    """The message of an OpenAI error body, made harmless to show, at most 200 characters."""
    error = body.get("error", body) if isinstance(body, dict) else body
    message = error.get("message", error) if isinstance(error, dict) else error
    return one_line(str(message), 200)


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
