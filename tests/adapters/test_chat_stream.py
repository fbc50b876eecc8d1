"""The stream's form, as literals: what is a token, and what is not."""

import json

import pytest

from guard.adapters.chat_stream import ChatStream, error_message


def chunk(delta: object, **more: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta, **more}]}).encode() + b"\n\n"


def fed(*parts: bytes) -> ChatStream:
    stream = ChatStream()
    for at, part in enumerate(parts):
        stream.feed(part, float(at))
    return stream


@pytest.mark.parametrize(
    ("delta", "is_token"),
    [
        ({"role": "assistant", "content": None}, False),
        ({"role": "assistant", "content": ""}, False),
        ({}, False),
        ({"content": "tide"}, True),
        ({"content": " "}, True),
        ({"reasoning_content": "hm"}, True),
        ({"reasoning": "hm"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"tool_calls": []}, False),
        ({"content": 7}, False),
    ],
)
def test_token_is_a_delta_that_is_not_empty(delta: object, is_token: bool) -> None:
    assert bool(fed(chunk(delta)).token_at) is is_token


def test_events_are_put_together_across_reads_whatever_the_line_ends() -> None:
    whole = b": hello\r\n\r\n" + chunk({"content": "a"}).replace(b"\n", b"\r\n") + b"data:[DONE]\r\n\r\n"
    stream = fed(*(whole[i : i + 1] for i in range(len(whole))))
    assert (stream.text, stream.facts.done, stream.facts.chunks, stream.facts.malformed) == ("a", True, 1, 0)


def test_tokens_of_one_read_share_its_time() -> None:
    assert fed(b"", chunk({"content": "a"}) + chunk({"content": "b"})).token_at == [1.0, 1.0]


@pytest.mark.parametrize("payload", [b"{", b"7", b"[1]", b"null", b"\xff"])
def test_event_that_is_no_object_is_malformed(payload: bytes) -> None:
    assert fed(b"data: " + payload + b"\n\n").facts.malformed == 1


def test_strange_shapes_are_survived() -> None:
    for strange in ({"choices": None}, {"choices": [None]}, {"choices": [{"delta": 3}]}, {"usage": 1}):
        stream = fed(b"data: " + json.dumps(strange).encode() + b"\n\n")
        assert (stream.facts.chunks, stream.token_at) == (1, [])


def test_error_event_is_kept_in_its_own_words() -> None:
    assert fed(b'data: {"error": {"message": "no slot"}}\n\n').facts.error == "no slot"


def test_servers_words_cannot_steer_a_terminal() -> None:
    body = {"error": {"message": "\x1b[31mno\nslot" + "!" * 900}}
    assert error_message(body).startswith("\\x1b[31mno slot!")
    assert len(error_message(body)) == 200
