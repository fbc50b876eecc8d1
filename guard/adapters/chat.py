"""The chat client of smoke, eval and the guard's probes: one completion in, a `Reply` with its sample out.

Owns how a request is timed and which outcome it had (DESIGN section 9: the first token is the first
non-empty delta; times are taken when bytes are read). Refuses to judge, and never raises for a request
under judgement: a refused connection is an outcome. Not for load: its own client is cheaper.
"""

import contextlib
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import httpx

from guard.adapters.chat_stream import ChatStream, StreamFacts, error_message, stream_outcome
from guard.adapters.endpoint import Endpoint, Timeouts, explain, get, get_json, open_client
from guard.core.samples import Outcome, RequestSample, Source

REQUEST_ID_PREFIX = "tidegate-"  # own requests are told from users' by it, in logs and metrics
_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion. Temperature 0 and a fixed seed unless said otherwise: the same every time."""

    model: str
    messages: Sequence[Mapping[str, str]]
    max_tokens: int = 64
    temperature: float = 0.0
    seed: int | None = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def ask(cls, model: str, prompt: str, *, system: str | None = None, max_tokens: int = 64) -> Self:
        """One user message, with a system message before it where given."""
        rules = [{"role": "system", "content": system}] if system else []
        return cls(model, [*rules, {"role": "user", "content": prompt}], max_tokens)

    def body(self, stream: bool) -> dict[str, Any]:
        document = {
            "model": self.model,
            "messages": [dict(message) for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": stream,
        }
        if self.seed is not None:
            document["seed"] = self.seed
        if stream:
            document["stream_options"] = {"include_usage": True}
        return document | dict(self.extra)


@dataclass(frozen=True)
class Reply:
    """What came back. `sample.outcome` says whether it is whole; texts are the model's: hostile.

    Attributes:
        text: The content, without reasoning and tool calls.
        model: The id that the reply names.
        stream: The raw chunks' facts; None for an answer that was not streamed.
        body: The parsed JSON of an answer that was not streamed, or of an error; else None.
    """

    sample: RequestSample
    text: str = ""
    model: str | None = None
    system_fingerprint: str | None = None
    stream: StreamFacts | None = None
    body: Any = None

    @property
    def ok(self) -> bool:
        return self.sample.outcome is Outcome.OK


class ChatClient:
    """Asks one endpoint, each time over a connection of its own. Thread-safe."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        source: Source = Source.PROBE,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
        trust_env: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self._source = source
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._http = open_client(endpoint, self._timeouts, trust_env=trust_env)
        self._connection: socket.socket | None = None
        self._cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def cut(self) -> None:
        """For good, from another thread: a completion under way comes back broken once it is connected.

        Closing would not do: a thread that reads from a socket is not woken by it.
        """
        self._cut = True
        if self._connection is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                self._connection.shutdown(socket.SHUT_RDWR)

    def get(self, path: str) -> httpx.Response:
        """A set-up call; see `endpoint.get`."""
        return get(self._http, path)

    def get_json(self, path: str) -> Any:
        """A set-up call; see `endpoint.get_json`."""
        return get_json(self._http, path)

    def complete(
        self,
        request: ChatRequest,
        *,
        stream: bool = True,
        pair_id: str | None = None,
        scheduled_at: float | None = None,
        watch: Callable[[RequestSample], None] = lambda _: None,
    ) -> Reply:
        """Ask once, never again, and say how it went.

        Args:
            stream: Server-sent events; only these have token times.
            pair_id: The same for both arms of a paired probe.
            scheduled_at: On this client's clock, when the request was due.
            watch: Given the sample as it is before it ends, so without outcome: when it is sent, and at its
                first token.
        """
        sample = RequestSample(
            f"{REQUEST_ID_PREFIX}{uuid.uuid4().hex}",
            self._source,
            self.endpoint.arm,
            pair_id=pair_id,
            scheduled_at=scheduled_at,
            sent_at=self._clock(),
        )
        watch(replace(sample))
        answer = ChatStream()
        headers = {"x-request-id": sample.request_id}
        try:
            with self._http.stream(
                "POST", _PATH, json=request.body(stream), headers=headers, extensions={"trace": self._trace}
            ) as response:
                sample.headers_at, sample.status = self._clock(), response.status_code
                if stream and _is_event_stream(response):
                    reply = self._read_stream(response, sample, answer, watch)
                else:
                    reply = self._read_document(response, sample, stream)
        except httpx.HTTPError as error:
            reply = self._broken(error, sample, answer)
        sample.finished_at = self._clock()
        return reply

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's word on what it does: the only way to a connection that has not answered yet."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = info["return_value"].get_extra_info("socket")
            if self._cut:
                self.cut()

    def _read_stream(
        self,
        response: httpx.Response,
        sample: RequestSample,
        answer: ChatStream,
        watch: Callable[[RequestSample], None],
    ) -> Reply:
        deadline = (sample.sent_at or 0.0) + self._timeouts.total
        late = False
        for data in response.iter_bytes():
            at = self._clock()
            answer.feed(data, at)
            if answer.token_at and sample.first_token_at is None:
                sample.first_token_at = answer.token_at[0]
                watch(replace(sample))
            if late := at > deadline:  # a server that sends keep-alive comments never times out on its own
                break
        outcome, error = stream_outcome(answer.facts)
        if late and outcome is Outcome.TRUNCATED:
            outcome = Outcome.STALLED if answer.token_at else Outcome.TIMEOUT
            error = "the answer took too long"
        return self._streamed(sample, answer, outcome, error)

    def _read_document(self, response: httpx.Response, sample: RequestSample, stream: bool) -> Reply:
        response.read()
        try:
            body = response.json()
        except ValueError:
            body = None
        if sample.status is not None and sample.status >= 400:
            sample.outcome = Outcome.ERROR
            sample.error = f"HTTP {sample.status}: {error_message(response.text if body is None else body)}"
            return Reply(sample, body=body)
        message = _message(body)
        if stream or message is None:
            sample.outcome, sample.error = Outcome.INVALID, "the answer is no chat completion"
            sample.error = "asked for a stream, got a document" if stream else sample.error
            return Reply(sample, body=body)
        sample.outcome = Outcome.OK
        sample.finish_reason = _word(body["choices"][0].get("finish_reason"))
        _count_tokens(sample, body.get("usage"))
        text = message.get("content")
        return Reply(
            sample,
            text if isinstance(text, str) else "",
            _word(body.get("model")),
            _word(body.get("system_fingerprint")),
            body=body,
        )

    def _broken(self, error: httpx.HTTPError, sample: RequestSample, answer: ChatStream) -> Reply:
        outcome = _broken_outcome(error, bool(answer.token_at))
        stalled = outcome is Outcome.STALLED
        line = "tokens stopped coming" if stalled else explain(error, self.endpoint.url)
        return self._streamed(sample, answer, outcome, line)

    @staticmethod
    def _streamed(sample: RequestSample, answer: ChatStream, outcome: Outcome, error: str | None) -> Reply:
        sample.outcome, sample.error = outcome, error
        sample.finish_reason = answer.facts.finish_reason
        sample.token_at = list(answer.token_at)
        if sample.token_at:
            first, last, gaps = sample.token_at[0], sample.token_at[-1], len(sample.token_at) - 1
            sample.first_token_at, sample.last_token_at = first, last
            sample.itl_mean_seconds = (last - first) / gaps if gaps else None
        _count_tokens(sample, answer.facts.usage)
        return Reply(sample, answer.text, answer.model, answer.system_fingerprint, answer.facts)


def _is_event_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "")
    return response.status_code < 400 and kind.startswith("text/event-stream")


def _broken_outcome(error: httpx.HTTPError, any_token: bool) -> Outcome:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return Outcome.REFUSED
        case httpx.TimeoutException():
            return Outcome.STALLED if any_token else Outcome.TIMEOUT
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return Outcome.TRUNCATED  # the connection was there, and went before the answer was whole
        case _:
            return Outcome.INVALID


def _message(body: object) -> Mapping[str, Any] | None:
    try:
        message = body["choices"][0]["message"]  # type: ignore[index]  # anything may come back
    except (TypeError, KeyError, IndexError):
        return None
    return message if isinstance(message, dict) else None


def _count_tokens(sample: RequestSample, usage: Mapping[str, Any] | None) -> None:
    counts = usage if isinstance(usage, Mapping) else {}
    details = counts.get("prompt_tokens_details")
    sample.prompt_tokens = _count(counts.get("prompt_tokens"))
    sample.output_tokens = _count(counts.get("completion_tokens"))
    sample.cached_tokens = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
