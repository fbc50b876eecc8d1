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
import gevent.socket
import gevent.ssl

from guard.adapters.chat_stream import ChatStream, error_message, stream_outcome
from guard.core.samples import Outcome, RequestSample
from guard.load.plan import LoadTimeouts

_READ_BYTES = 65536
_ERROR_BYTES = 4096
_SHOWN = 200


class _TooLate(Exception):
    """The whole request took longer than it may."""


class _NotConnected(Exception):
    """No connection: DNS, refused, timed out, TLS."""


@dataclass
class Target:
    """One arm's endpoint. `url` has neither a trailing slash nor /v1.

    A connection for each request: servers close kept ones when they like (llama.cpp after a few answers,
    without notice), and a request sent into a closing connection would count against the runtime. The
    handshake is part of a TTFT from the scheduled time, and the same for both arms.

    Raises:
        OSError: The CA file cannot be read.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.path = f"{parts.path}/v1/chat/completions"
        self._tls = _trust(self.ca_file) if parts.scheme == "https" else None

    def connect(self, seconds: float) -> http.client.HTTPConnection:
        """A new connection, TLS included.

        Raises:
            _NotConnected: With the reason in one line.
        """
        connection = http.client.HTTPConnection(self.host, self.port)
        try:
            sock = gevent.socket.create_connection((self.host, self.port), seconds)
            connection.sock = sock  # closed with the connection, also when what follows fails
            sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection.sock = self._tls.wrap_socket(sock, server_hostname=self.host)
        except OSError as error:
            connection.close()
            raise _NotConnected(f"{self.url}: {error}") from error
        return connection

    def warm(self, seconds: float) -> None:
        """Connect once, so that the first request does not pay for what DNS and TLS import and look up."""
        with contextlib.suppress(_NotConnected):  # the requests will say so
            self.connect(seconds).close()


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
    except (OSError, http.client.IncompleteRead) as reason:  # RemoteDisconnected is an OSError as well
        outcome, error = Outcome.TRUNCATED, f"the connection broke: {type(reason).__name__}: {reason}"
    except http.client.HTTPException as reason:
        outcome, error = Outcome.INVALID, f"not HTTP: {type(reason).__name__}: {str(reason)[:_SHOWN]}"
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
    connection = target.connect(timeouts.connect)
    with contextlib.closing(connection):
        _put_head(connection, target, sample, len(body))
        connection.sock.settimeout(timeouts.first_token)
        sock = connection.sock  # the connection forgets it once the answer says that it will close
        sample.sent_at = clock()
        connection.endheaders(body)
        with connection.getresponse() as response:
            sample.headers_at, sample.status = clock(), response.status
            if refusal := _no_stream(response):
                return refusal
            _read(response, sock, answer, sample, timeouts, clock)
    return stream_outcome(answer.facts)


def _trust(ca_file: str | None) -> gevent.ssl.SSLContext:
    context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context


def _put_head(
    connection: http.client.HTTPConnection, target: Target, sample: RequestSample, length: int
) -> None:
    connection.putrequest("POST", target.path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Accept", "text/event-stream")
    connection.putheader("Connection", "close")
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
    text = ""
    with contextlib.suppress(OSError, http.client.HTTPException):  # the status alone says enough
        text = response.read(_ERROR_BYTES).decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = error_message(json.loads(text))
    if response.status >= 400:
        return Outcome.ERROR, f"HTTP {response.status}: {text[:_SHOWN]}"
    return Outcome.INVALID, f"HTTP {response.status} with {kind or 'no content type'}, no event stream"


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
