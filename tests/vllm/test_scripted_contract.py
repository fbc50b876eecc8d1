"""ScriptedRuntime and real vLLM keep the same promises: every claim here is tried on both.

Chosen to hold what the product reads: shapes, order, status codes, metric names and how they move.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from guard.testing.runtime import Script, ScriptedRuntime
from tests.vllm.vllm_stack import MODEL

pytestmark = pytest.mark.vllm

CHAT = "/v1/chat/completions"
CONTEXT = 2048
TOO_LONG = "tide " * (CONTEXT + 100)
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
SAMPLE = re.compile(r"^([a-z0-9_:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture(scope="module")
def scripted() -> Iterator[str]:
    answer = "The sea is wide and the tide turns twice a day, whatever the harbour wants of it."
    script = Script(model=MODEL, max_model_len=CONTEXT, answer=lambda _: answer)
    with ScriptedRuntime.serve(script) as runtime:
        yield runtime.url


@pytest.fixture(params=["scripted", "vllm"])
def http(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of each in turn."""
    url = request.getfixturevalue(request.param)
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        yield client


def chat(http: httpx.Client, prompt: str = "Tell me of the sea.", **more: Any) -> httpx.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": 8, **more}
    return http.post(CHAT, json=body)


def events(response: httpx.Response) -> list[Any]:
    """The payloads of a stream, in order; `[DONE]` stays text."""
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def value(http: httpx.Client, name: str, **labels: str) -> float:
    """A metric summed over every series that has these labels; 0.0 when there is none yet."""
    return sum(
        float(number)
        for found, text, number in SAMPLE.findall(http.get("/metrics").text)
        if found == name and labels.items() <= dict(LABEL.findall(text)).items()
    )


def test_the_model_list_names_owner_and_context(http: httpx.Client) -> None:
    document = http.get("/v1/models").json()
    assert document["object"] == "list"
    (entry,) = document["data"]
    assert {key: entry[key] for key in ("id", "object", "owned_by", "parent", "max_model_len")} == {
        "id": MODEL,
        "object": "model",
        "owned_by": "vllm",
        "parent": None,
        "max_model_len": CONTEXT,
    }


def test_version_is_told(http: httpx.Client) -> None:
    assert http.get("/version").json() == {"version": "0.32.0"}


def test_health_is_an_empty_200(http: httpx.Client) -> None:
    response = http.get("/health")
    assert (response.status_code, response.content) == (200, b"")


def test_a_completion_has_role_text_reason_and_usage(http: httpx.Client) -> None:
    document = chat(http).json()
    (choice,) = document["choices"]
    assert (document["object"], document["model"]) == ("chat.completion", MODEL)
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert choice["finish_reason"] == "length"
    usage = document["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + 8


def test_a_stream_is_role_then_text_then_reason_then_usage_then_done(http: httpx.Client) -> None:
    response = chat(http, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    first, *middle, usage, done = events(response)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"].get("content") for chunk in middle]
    assert all(deltas[:8])
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in (first, *middle)]
    assert reasons[-1] == "length"
    assert set(reasons[:-1]) == {None}
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 8
    assert done == "[DONE]"


def test_a_stream_without_asking_for_usage_has_none(http: httpx.Client) -> None:
    *chunks, done = events(chat(http, stream=True))
    assert done == "[DONE]"
    assert not any(chunk.get("usage") for chunk in chunks)


def test_every_chunk_of_a_stream_has_the_same_id_and_model(http: httpx.Client) -> None:
    *chunks, _ = events(chat(http, stream=True))
    assert {(chunk["object"], chunk["model"]) for chunk in chunks} == {("chat.completion.chunk", MODEL)}
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_an_unknown_model_is_a_404_in_the_apis_form(http: httpx.Client) -> None:
    response = chat(http, model="nope")
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["message"].startswith("The model `nope` does not exist.")
    assert (error["type"], error["param"], error["code"]) == ("NotFoundError", "model", 404)


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_over_the_context_is_a_400_in_the_apis_form(http: httpx.Client, stream: bool) -> None:
    response = chat(http, TOO_LONG, stream=stream)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"].startswith(f"This model's maximum context length is {CONTEXT} tokens. However, ")
    assert (error["type"], error["param"], error["code"]) == ("BadRequestError", "input_tokens", 400)


def test_prompt_and_answer_together_may_ask_for_more_than_the_context_has(http: httpx.Client) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": CONTEXT}
    with http.stream("POST", CHAT, json={**body, "stream": True}) as response:
        assert response.status_code == 200


def test_tokens_of_a_prompt_are_counted(http: httpx.Client) -> None:
    document = http.post("/tokenize", json={"model": MODEL, "prompt": "the sea"}).json()
    assert (document["count"], document["max_model_len"]) == (2, CONTEXT)


def test_a_completion_moves_its_counters_and_histograms(http: httpx.Client) -> None:
    names = (
        "vllm:generation_tokens_total",
        "vllm:time_to_first_token_seconds_count",
        "vllm:inter_token_latency_seconds_count",
        "vllm:e2e_request_latency_seconds_count",
    )
    before = [value(http, name, model_name=MODEL) for name in names]
    finished = value(http, "vllm:request_success_total", finished_reason="length")
    answered = value(http, "http_requests_total", handler=CHAT, method="POST", status="2xx")
    usage = chat(http).json()["usage"]
    after = [value(http, name, model_name=MODEL) for name in names]
    assert usage["completion_tokens"] == 8
    assert [late - early for early, late in zip(before, after, strict=True)] == [8, 1, 7, 1]
    assert value(http, "vllm:request_success_total", finished_reason="length") == finished + 1
    assert value(http, "http_requests_total", handler=CHAT, method="POST", status="2xx") == answered + 1


def test_a_refused_context_moves_only_the_http_counter(http: httpx.Client) -> None:
    refused = value(http, "http_requests_total", handler=CHAT, method="POST", status="4xx")
    counters = _vllm_counters(http)
    assert chat(http, TOO_LONG).status_code == 400
    assert value(http, "http_requests_total", handler=CHAT, method="POST", status="4xx") == refused + 1
    assert _vllm_counters(http) == counters


def _vllm_counters(http: httpx.Client) -> Mapping[str, str]:
    samples = SAMPLE.findall(http.get("/metrics").text)
    return {
        f"{name}{{{labels}}}": number
        for name, labels, number in samples
        if name.startswith("vllm:") and name.endswith(("_total", "_count"))
    }


def test_looking_does_not_count_as_a_request(http: httpx.Client) -> None:
    def requests() -> float:
        return value(http, "http_requests_total")

    before = requests()
    for path in ("/health", "/version", "/metrics"):
        assert http.get(path).status_code == 200
    assert requests() == before


def test_every_metric_of_the_double_is_vllms_in_name_type_labels_and_edges(vllm: str, scripted: str) -> None:
    real, double = (_families_after_a_request(url) for url in (vllm, scripted))
    assert {name: double[name] for name in double} == {name: real.get(name) for name in double}


def _families_after_a_request(url: str) -> dict[str, tuple[str, frozenset[str], tuple[str, ...]]]:
    """The families of a server that has answered one: a counter shows its labels from the first count on."""
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        assert chat(http).status_code == 200
        return _families(http.get("/metrics").text)


def _families(exposition: str) -> dict[str, tuple[str, frozenset[str], tuple[str, ...]]]:
    """Metric -> (type, label names, bucket edges in order)."""
    samples = [(name, LABEL.findall(labels)) for name, labels, _ in SAMPLE.findall(exposition)]
    families = {}
    for name, kind in TYPE.findall(exposition):
        own = [labels for sample, labels in samples if sample in (name, f"{name}_bucket")]
        names = frozenset(label for labels in own for label, _ in labels)
        edges = tuple(dict.fromkeys(edge for labels in own for label, edge in labels if label == "le"))
        families[name] = (kind, names, edges)
    return families
