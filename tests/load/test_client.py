import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import gevent
import gevent.event
import pytest

from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.load.client import Target, stream_chat
from guard.load.plan import LoadTimeouts
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime

HOST = "127.40.1.1"
BODY = json.dumps(
    {
        "model": "scripted",
        "messages": [{"role": "user", "content": "one two three"}],
        "max_tokens": 8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
TOKEN = b'data: {"choices": [{"delta": {"content": "tide"}, "finish_reason": null}]}\n\n'
STOP = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def ask(url: str, timeouts: LoadTimeouts | None = None, **target: str) -> RequestSample:
    sample = RequestSample("tidegate-test-1", Source.LOAD, Arm.CANARY)
    return stream_chat(Target(url, **target), BODY, sample, timeouts or LoadTimeouts())


@contextmanager
def answering(*parts: bytes, then: Callable[[socket.socket], object] | None = None) -> Iterator[str]:
    """A server for one connection: reads the request, sends the parts, does `then`, closes."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                got = b""
                while BODY not in got:
                    got += connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                if then is not None:
                    then(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://{HOST}:{listener.getsockname()[1]}"
        thread.join(10)


def until_closed(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_a_whole_stream_is_ok_with_every_token_timed() -> None:
    with ScriptedRuntime.serve(Script(itl_seconds=0.001), HOST) as runtime:
        sample = ask(runtime.url)
        (log,) = runtime.sent

    assert (sample.outcome, sample.error, sample.status) == (Outcome.OK, None, 200)
    assert (sample.prompt_tokens, sample.output_tokens, sample.finish_reason) == (3, 8, "length")
    assert len(sample.token_at) == len(log.token_at) == 8
    assert all(read >= sent for read, sent in zip(sample.token_at, log.token_at, strict=True))
    assert log.request_id == "tidegate-test-1"


def test_times_are_in_the_order_in_which_things_happen() -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        s = ask(runtime.url)

    times = [s.sent_at, s.headers_at, s.first_token_at, s.last_token_at, s.finished_at]
    assert None not in times
    assert times == sorted(t for t in times if t is not None)
    assert (s.first_token_at, s.last_token_at) == (s.token_at[0], s.token_at[-1])
    assert s.itl_mean_seconds == pytest.approx((s.token_at[-1] - s.token_at[0]) / 7)


def test_the_role_chunk_is_no_token() -> None:
    role = b'data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}\n\n'
    with answering(HEAD, role, STOP, DONE) as url:
        sample = ask(url)

    assert (sample.outcome, sample.first_token_at, sample.token_at) == (Outcome.OK, None, [])


@pytest.mark.parametrize(
    "delta",
    [{"content": "a"}, {"reasoning_content": "a"}, {"tool_calls": [{"index": 0}]}],
    ids=["content", "reasoning", "tool call"],
)
def test_content_reasoning_and_tool_calls_are_tokens(delta: dict[str, object]) -> None:
    event = b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"
    with answering(HEAD, event, STOP, DONE) as url:
        assert len(ask(url).token_at) == 1


def test_no_usage_means_unknown_token_counts() -> None:
    with answering(HEAD, TOKEN, STOP, DONE) as url:
        sample = ask(url)

    assert (sample.outcome, sample.output_tokens, sample.prompt_tokens) == (Outcome.OK, None, None)


def test_cached_tokens_are_read_from_usage() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    event = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    with answering(HEAD, TOKEN, STOP, event, DONE) as url:
        assert ask(url).cached_tokens == 4


def test_an_http_error_is_an_error_with_its_status_and_message() -> None:
    with ScriptedRuntime.serve(Script(max_model_len=2), HOST) as runtime:
        sample = ask(runtime.url)

    assert (sample.outcome, sample.status, sample.first_token_at) == (Outcome.ERROR, 400, None)
    assert "maximum context length" in str(sample.error)


def test_the_key_is_sent() -> None:
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        assert ask(runtime.url).status == 401
        assert ask(runtime.url, api_key="sesame").outcome is Outcome.OK


def test_a_path_before_v1_is_kept() -> None:
    assert Target("http://gateway:80/team/a").path == "/team/a/v1/chat/completions"


def test_nothing_listening_is_refused() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]

    sample = ask(f"http://{HOST}:{port}")

    assert (sample.outcome, sample.sent_at) == (Outcome.REFUSED, None)
    assert sample.finished_at is not None


def test_an_unknown_host_is_refused() -> None:
    assert ask("http://no-such-host.invalid:80").outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("parts", "outcome", "words"),
    [
        ([HEAD, TOKEN], Outcome.TRUNCATED, "without finish_reason and [DONE]"),
        ([HEAD, TOKEN, STOP], Outcome.TRUNCATED, "without [DONE]"),
        ([HEAD, TOKEN, DONE], Outcome.TRUNCATED, "without finish_reason"),
        ([], Outcome.TRUNCATED, "RemoteDisconnected"),
        ([HEAD, b"data: {tide\n\n", STOP, DONE], Outcome.INVALID, "not JSON objects"),
        ([HEAD, TOKEN, b'data: {"error": {"message": "out of memory"}}\n\n'], Outcome.ERROR, "out of memory"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], Outcome.INVALID, "no event stream"),
        ([b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], Outcome.INVALID, "HTTP 302"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], Outcome.INVALID, "not HTTP"),
        ([b"HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\nwait"], Outcome.ERROR, "HTTP 503: wait"),
        (
            [HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked"), b"fff\r\n", TOKEN],
            Outcome.TRUNCATED,
            "IncompleteRead",
        ),
        (
            [HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked"), b"tide\r\n", TOKEN],
            Outcome.TRUNCATED,
            "IncompleteRead",
        ),
    ],
    ids=[
        "the stream ends after a token",
        "no DONE",
        "no finish reason",
        "closed without an answer",
        "an event is no JSON",
        "an error event after a token",
        "a document instead of a stream",
        "a redirect",
        "no HTTP at all",
        "an error whose body is cut",
        "a chunk length that promises more",
        "a chunk length that is no number",
    ],
)
def test_each_way_to_go_wrong_has_its_outcome(parts: list[bytes], outcome: Outcome, words: str) -> None:
    with answering(*parts) as url:
        sample = ask(url)

    assert sample.outcome is outcome
    assert words in str(sample.error)


def test_a_connection_reset_in_the_stream_is_truncated() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with answering(HEAD, TOKEN, then=reset) as url:
        assert ask(url).outcome is Outcome.TRUNCATED


def test_no_first_token_in_time_is_a_timeout() -> None:
    with ScriptedRuntime.serve(Script(faults=(Fault(FaultKind.HANG),)), HOST) as runtime:
        sample = ask(runtime.url, LoadTimeouts(first_token=0.1))

    assert (sample.outcome, sample.first_token_at) == (Outcome.TIMEOUT, None)


def test_a_stream_that_stops_and_stays_open_is_stalled_with_its_tokens() -> None:
    with ScriptedRuntime.serve(Script(faults=(Fault(FaultKind.STALL),)), HOST) as runtime:
        sample = ask(runtime.url, LoadTimeouts(between_tokens=0.1))

    assert (sample.outcome, len(sample.token_at)) == (Outcome.STALLED, 3)


def test_comments_do_not_keep_a_request_alive() -> None:
    def comment(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # until the client hangs up
            while True:
                connection.sendall(b": still here\n\n" * 100)

    with answering(HEAD, then=comment) as url:
        assert ask(url, LoadTimeouts(first_token=0.1)).outcome is Outcome.TIMEOUT


def test_a_request_never_lasts_longer_than_its_total() -> None:
    with ScriptedRuntime.serve(Script(itl_seconds=0.05), HOST) as runtime:
        sample = ask(runtime.url, LoadTimeouts(total=0.12))

    assert sample.outcome is Outcome.STALLED
    assert 0 < len(sample.token_at) < 8


def test_a_killed_request_is_still_waiting_and_keeps_its_tokens() -> None:
    sample = RequestSample("tidegate-test-2", Source.LOAD, Arm.CANARY)
    looks = count(1)
    token_was_read = gevent.event.Event()

    def clock() -> float:
        if next(looks) == 4:  # sent, headers, before the first read, after it
            token_was_read.set()
        return time.monotonic()

    with answering(HEAD, TOKEN, then=until_closed) as url:
        request = gevent.spawn(stream_chat, Target(url), BODY, sample, LoadTimeouts(), clock)
        assert token_was_read.wait(10)
        request.kill()

    assert (sample.outcome, sample.finished_at, len(sample.token_at)) == (None, None, 1)


def test_a_character_split_between_reads_is_whole() -> None:
    event = 'data: {"choices": [{"delta": {"content": "Ebbe ⛵"}}]}\n\n'.encode()
    cut = event.index("⛵".encode()) + 1
    with answering(HEAD, event[:cut], event[cut:], STOP, DONE) as url:
        sample = ask(url)

    assert (sample.outcome, len(sample.token_at)) == (Outcome.OK, 1)


def test_a_certificate_of_nobody_is_refused(tls_files: tuple[str, str]) -> None:
    with _tls_server(tls_files[1]) as url:
        sample = ask(url)

    assert sample.outcome is Outcome.REFUSED
    assert "CERTIFICATE_VERIFY_FAILED" in str(sample.error)


def test_https_works_with_the_issuer_named(tls_files: tuple[str, str]) -> None:
    with _tls_server(tls_files[1]) as url:
        assert ask(url, ca_file=tls_files[0]).outcome is Outcome.OK


@contextmanager
def _tls_server(server_file: str) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    got = b""
                    while BODY not in got:
                        got += connection.recv(65536)
                    connection.sendall(HEAD + TOKEN + STOP + DONE)
            except ssl.SSLError:
                plain.close()  # the client did not trust us

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://{HOST}:{listener.getsockname()[1]}"
        thread.join(10)
