"""The streaming client of the load engine: one request out, its sample filled in as the bytes come.

Owns how a request under load is timed and which outcome it has. Sockets are gevent's own, asked for by
name, so the module works with and without monkey-patching. Refuses to know schedules, Locust and verdicts.
`stream_chat` is the whole of what the engine needs.
"""

import contextlib
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import gevent
import gevent.select
import gevent.socket
import gevent.ssl

from guard.adapters.chat_stream import ChatStream, error_message
from guard.core.samples import Outcome, RequestSample
from guard.load.plan import LoadTimeouts

_READ_BYTES = 65536
_ERROR_BYTES = 4096
# Servers close idle connections after 5 s (uvicorn, llama.cpp). Ours go first: a request that is sent into
# a closing connection fails, and the failure would be counted against the runtime.
_IDLE_SECONDS = 2.0
_TAIL_SECONDS = 1.0  # for the empty chunk after [DONE]; the sample is finished by then


class _TooLate(Exception):
    """The whole request took longer than it may."""


class _NotConnected(Exception):
    """No connection: DNS, refused, timed out, TLS."""


@dataclass
class Target:
    """One arm's endpoint and its idle connections. `url` has neither a trailing slash nor /v1."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.path = f"{parts.path}/v1/chat/completions"
        self._tls = _trust(self.ca_file) if parts.scheme == "https" else None
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []

    def take(self, connect_seconds: float) -> http.client.HTTPConnection:
        """An idle connection that is still open, or a new one.

        Raises:
            _NotConnected: With the reason in one line.
        """
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS and not _readable(connection):
                return connection
            connection.close()
        return self._connect(connect_seconds)

    def warm(self, connect_seconds: float) -> None:
        """Connect once, so that the first request does not pay for DNS, TLS and what they import."""
        with contextlib.suppress(_NotConnected):  # the requests will say so
            self.give_back(self.take(connect_seconds))

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose last answer was read whole."""
        self._idle.append((time.monotonic(), connection))

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port)
        try:
            sock = gevent.socket.create_connection((self.host, self.port), seconds)
            sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_hostname=self.host)
        except OSError as error:
            raise _NotConnected(f"{self.url}: {error}") from error
        connection.sock = sock
        return connection


def stream_chat(
    target: Target,
    body: bytes,
    sample: RequestSample,
    timeouts: LoadTimeouts,
    clock: Callable[[], float] = time.monotonic,
) -> RequestSample:
    """Ask once, never again, and fill the sample in: times, tokens, outcome.

    `sent_at` is taken when the connection stands, just before the first byte is sent; each token's time
    when the read that held it returned. An error is an outcome, never an exception. When its greenlet is
    killed the sample keeps what came so far, and no outcome: it was still waiting.

    Args:
        body: The JSON of the request, with `stream` and `stream_options.include_usage`.
        sample: With request_id, arm and schedule; completed in place, and returned.
    """
    answer = ChatStream()
    outcome: Outcome | None = None
    error: str | None = "given up while it was waiting"
    try:
        with gevent.Timeout(timeouts.total, _TooLate):
            outcome, error = _exchange(target, body, sample, answer, timeouts, clock)
    except _NotConnected as reason:
        outcome, error = Outcome.REFUSED, str(reason)
    except (_TooLate, TimeoutError):
        outcome, error = _late(answer, timeouts)
    except (OSError, http.client.HTTPException) as reason:
        outcome, error = Outcome.TRUNCATED, f"the connection broke: {type(reason).__name__}: {reason}"
    finally:
        sample.outcome, sample.error = outcome, error
        if sample.finished_at is None and outcome is not None:
            sample.finished_at = clock()
        _fill(sample, answer)
    return sample


def _exchange(
    target: Target,
    body: bytes,
    sample: RequestSample,
    answer: ChatStream,
    timeouts: LoadTimeouts,
    clock: Callable[[], float],
) -> tuple[Outcome, str | None]:
    connection = target.take(timeouts.connect)
    sock = connection.sock
    whole = False
    try:
        _put_head(connection, target, sample, len(body))
        sock.settimeout(timeouts.first_token)
        sample.sent_at = clock()
        connection.endheaders(body)
        response = connection.getresponse()
        sample.headers_at, sample.status = clock(), response.status
        if refusal := _no_stream(response):
            return refusal
        _read(response, sock, answer, sample, timeouts, clock)
        outcome, error = _judge(answer)
        whole = outcome is Outcome.OK and _tail_is_empty(response, sock)
        return outcome, error
    finally:
        if whole and not response.will_close:
            target.give_back(connection)
        else:
            connection.close()


def _trust(ca_file: str | None) -> gevent.ssl.SSLContext:
    context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


def _readable(connection: http.client.HTTPConnection) -> bool:
    """An idle connection that has something to read was closed, or is out of step."""
    return bool(gevent.select.select([connection.sock], [], [], 0)[0])


def _tail_is_empty(response: http.client.HTTPResponse, sock: gevent.socket.socket) -> bool:
    try:
        sock.settimeout(_TAIL_SECONDS)
        return response.read1(_READ_BYTES) == b""
    except (_TooLate, OSError, http.client.HTTPException):
        return False


def _put_head(
    connection: http.client.HTTPConnection, target: Target, sample: RequestSample, length: int
) -> None:
    connection.putrequest("POST", target.path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Accept", "text/event-stream")
    connection.putheader("Content-Length", str(length))
    connection.putheader("x-request-id", sample.request_id)
    if target.api_key:
        connection.putheader("Authorization", f"Bearer {target.api_key}")


def _read(
    response: http.client.HTTPResponse,
    sock: gevent.socket.socket,
    answer: ChatStream,
    sample: RequestSample,
    timeouts: LoadTimeouts,
    clock: Callable[[], float],
) -> None:
    """Until [DONE], an error event or the end; raises TimeoutError when no token came in time."""
    deadline = (sample.sent_at or 0.0) + timeouts.first_token
    tokens, at = 0, clock()
    while not (answer.facts.done or answer.facts.error):
        if at >= deadline:  # comments may keep the connection busy without a token
            raise TimeoutError
        sock.settimeout(deadline - at)
        data = response.read1(_READ_BYTES)
        at = clock()
        if not data:
            break
        answer.feed(data, at)
        if len(answer.token_at) > tokens:
            tokens, deadline = len(answer.token_at), at + timeouts.between_tokens
    sample.finished_at = at


def _no_stream(response: http.client.HTTPResponse) -> tuple[Outcome, str] | None:
    kind = response.getheader("content-type", "")
    if response.status == 200 and kind.startswith("text/event-stream"):
        return None
    text = response.read(_ERROR_BYTES).decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = error_message(json.loads(text))
    if response.status >= 400:
        return Outcome.ERROR, f"HTTP {response.status}: {text[:200]}"
    return Outcome.INVALID, f"HTTP {response.status} with {kind or 'no content type'}, no event stream"


def _judge(answer: ChatStream) -> tuple[Outcome, str | None]:
    facts = answer.facts
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


def _late(answer: ChatStream, timeouts: LoadTimeouts) -> tuple[Outcome, str]:
    if answer.token_at:
        return Outcome.STALLED, f"tokens stopped coming after {len(answer.token_at)}"
    return Outcome.TIMEOUT, f"no token within {min(timeouts.first_token, timeouts.total):g} s"


def _fill(sample: RequestSample, answer: ChatStream) -> None:
    sample.finish_reason = answer.facts.finish_reason
    sample.token_at = answer.token_at
    if answer.token_at:
        first, last, gaps = answer.token_at[0], answer.token_at[-1], len(answer.token_at) - 1
        sample.first_token_at, sample.last_token_at = first, last
        sample.itl_mean_seconds = (last - first) / gaps if gaps else None
    usage = answer.facts.usage or {}
    sample.prompt_tokens = _count(usage.get("prompt_tokens"))
    sample.output_tokens = _count(usage.get("completion_tokens"))
    details = usage.get("prompt_tokens_details")
    sample.cached_tokens = _count(details.get("cached_tokens")) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
