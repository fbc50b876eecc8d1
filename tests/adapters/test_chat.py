"""The chat client against scripted servers: what a request's sample says of it."""

import time

import pytest

from guard.adapters.chat import ChatClient, ChatRequest, Reply
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.core.samples import Arm, Source
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime

HOST = "127.30.1.1"
QUICK = Timeouts(connect=1.0, read=0.3, total=0.6)
REQUEST = ChatRequest.ask("scripted", "Which way does the tide run?", max_tokens=8)


def ask(script: Script, *, stream: bool = True, timeouts: Timeouts = QUICK) -> Reply:
    with (
        ScriptedRuntime.serve(script, HOST) as runtime,
        ChatClient(Endpoint.parse(runtime.url), timeouts=timeouts) as client,
    ):
        return client.complete(REQUEST, stream=stream)


def test_whole_stream_is_ok_with_its_facts_and_counts() -> None:
    reply = ask(Script(answer=lambda _: "It runs out to sea"))
    sample = reply.sample
    assert (reply.text, reply.model) == ("It runs out to sea", "scripted")
    assert (str(sample.outcome), sample.status, sample.error) == ("ok", 200, None)
    assert (sample.prompt_tokens, sample.output_tokens, sample.finish_reason) == (6, 5, "stop")
    assert reply.stream is not None
    assert (reply.stream.role, reply.stream.done, reply.stream.malformed) == (True, True, 0)


def test_first_token_is_the_first_with_text_and_times_follow_the_server() -> None:
    script = Script(ttft_seconds=0.1, itl_seconds=0.02)
    with (
        ScriptedRuntime.serve(script, HOST) as runtime,
        ChatClient(Endpoint.parse(runtime.url)) as client,
    ):
        sample = client.complete(REQUEST).sample
        sent = runtime.sent[0]
    assert len(sample.token_at) == len(sent.token_at) == 8
    assert sample.headers_at is not None
    assert sample.headers_at < sent.token_at[0], "the role chunk came before, and is no token"
    assert all(read >= at for read, at in zip(sample.token_at, sent.token_at, strict=True))
    assert sample.itl_mean_seconds == pytest.approx((sample.token_at[-1] - sample.token_at[0]) / 7)
    assert sample.ttft_seconds is not None
    assert sample.ttft_seconds >= 0.1


@pytest.mark.parametrize(
    ("kind", "outcome", "error"),
    [
        ("http500", "error", "HTTP 500: EngineCore"),
        ("hang", "timeout", "no answer in time"),
        ("stall", "stalled", "tokens stopped coming"),
        ("truncate", "truncated", "without finish_reason and [DONE]"),
        ("garbage", "invalid", "are not JSON objects"),
    ],
)
def test_fault_is_an_outcome_and_never_raised(kind: str, outcome: str, error: str) -> None:
    sample = ask(Script(faults=(Fault(FaultKind(kind)),))).sample
    assert str(sample.outcome) == outcome
    assert error in str(sample.error)
    assert sample.finished_at is not None


def test_no_connection_is_refused() -> None:
    with ChatClient(Endpoint.parse("http://127.30.255.1:9"), timeouts=QUICK) as client:
        sample = client.complete(REQUEST).sample
    assert str(sample.outcome) == "refused"
    assert sample.headers_at is None


def test_server_that_dies_in_the_answer_truncates_it() -> None:
    script = Script(itl_seconds=0.05, faults=(Fault(FaultKind.DIE, 0.1),))
    reply = ask(script, timeouts=Timeouts())
    assert str(reply.sample.outcome) == "truncated"


def test_stream_that_trickles_is_ended_by_the_total_limit() -> None:
    script = Script(answer=lambda _: "drip " * 60, itl_seconds=0.1)
    with (
        ScriptedRuntime.serve(script, HOST) as runtime,
        ChatClient(Endpoint.parse(runtime.url), timeouts=Timeouts(read=5.0, total=0.3)) as client,
    ):
        sample = client.complete(ChatRequest.ask("scripted", "drip", max_tokens=60)).sample
    assert str(sample.outcome) == "stalled"
    assert len(sample.token_at) < 60


def test_prompt_over_the_context_is_an_error_with_the_servers_words() -> None:
    sample = ask(Script(max_model_len=4)).sample
    assert (str(sample.outcome), sample.status) == ("error", 400)
    assert "maximum context length is 4 tokens" in str(sample.error)


def test_document_has_no_token_times() -> None:
    reply = ask(Script(), stream=False)
    assert str(reply.sample.outcome) == "ok"
    assert (reply.sample.first_token_at, reply.sample.token_at, reply.stream) == (None, [], None)
    assert reply.sample.output_tokens == 8


def test_sample_says_who_asked_and_when_it_was_due() -> None:
    with (
        ScriptedRuntime.serve(Script(), HOST) as runtime,
        ChatClient(Endpoint.parse(runtime.url, Arm.BASELINE), source=Source.PROBE) as client,
    ):
        due = time.monotonic() - 1.0
        sample = client.complete(REQUEST, pair_id="p1", scheduled_at=due).sample
        assert runtime.sent[0].request_id == sample.request_id
    assert sample.request_id.startswith("tidegate-")
    assert (str(sample.arm), str(sample.source), sample.pair_id) == ("baseline", "probe", "p1")
    assert sample.ttft_seconds is not None
    assert sample.ttft_seconds >= 1.0


def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.30.255.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask(Script()).ok


def test_api_key_is_sent_and_never_shown() -> None:
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        endpoint = Endpoint.parse(runtime.url, api_key="sesame")
        with ChatClient(endpoint) as client:
            assert client.complete(REQUEST).ok
    assert "sesame" not in repr(endpoint)
