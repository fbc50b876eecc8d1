"""What the adapter says of real vLLM: its type, its fingerprint, and what it works on now."""

from collections.abc import Iterator

import httpx
import pytest

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint
from guard.adapters.runtimes import VLLM, detect, served_models
from guard.adapters.signals.pods import requests_in_flight
from guard.core.fingerprint import Fingerprint
from tests.vllm.vllm_stack import MODEL, eventually

pytestmark = pytest.mark.vllm


@pytest.fixture
def client(vllm: str) -> Iterator[ChatClient]:
    with ChatClient(Endpoint.parse(vllm)) as client:
        yield client


def test_vllm_is_known_by_its_model_list(client: ChatClient) -> None:
    assert isinstance(detect(served_models(client)), VLLM)


def test_the_fingerprint_holds_version_model_and_context(client: ChatClient) -> None:
    expected = Fingerprint(
        runtime="vLLM",
        runtime_version="0.32.0",
        model=MODEL,
        adapter="none",
        engine_arguments="max_model_len=2048",
    )
    assert VLLM().fingerprint(client, MODEL) == expected


def test_in_flight_counts_a_stream_until_its_user_has_gone(vllm: str) -> None:
    endpoint = Endpoint.parse(vllm)

    def in_flight() -> int | None:
        return requests_in_flight(endpoint, "vLLM", "/metrics")

    assert in_flight() == 0
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Count."}],
        "max_tokens": 1500,
        "ignore_eos": True,
        "stream": True,
    }
    with httpx.stream("POST", f"{vllm}/v1/chat/completions", json=body, timeout=60, trust_env=False) as reply:
        next(reply.iter_lines())
        assert eventually(lambda: in_flight() == 1, "one in flight", 30)
    eventually(lambda: in_flight() == 0, "none in flight", 30)
