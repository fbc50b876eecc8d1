"""The scripted runtime keeps to its script, and to vLLM's forms."""

import contextlib
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime
from guard.testing.runtime.command import command
from guard.testing.runtime.metrics import ITL_EDGES, TTFT_EDGES

HOST = "127.30.5.1"
HELLO = {"model": "scripted", "messages": [{"role": "user", "content": "say hello"}]}
CHAT = "/v1/chat/completions"


def post(runtime: ScriptedRuntime, body: dict[str, object], path: str = CHAT) -> httpx.Response:
    return httpx.post(runtime.url + path, json=body, trust_env=False, verify=False)


def metrics(runtime: ScriptedRuntime) -> dict[str, float]:
    page = httpx.get(runtime.url + "/metrics", trust_env=False).text
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_unknown_model_is_404_in_vllms_form() -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        response = post(runtime, HELLO | {"model": "other"})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"], error["param"]) == (
        *(404, "NotFoundError", 404, "model"),
    )


def test_prompt_over_the_context_is_400_and_moves_no_vllm_counter() -> None:
    with ScriptedRuntime.serve(Script(max_model_len=2), HOST) as runtime:
        response = post(runtime, HELLO)
        after = metrics(runtime)
    assert response.status_code == 400
    assert "maximum context length is 2 tokens" in response.json()["error"]["message"]
    assert after[f'http_requests_total{{handler="{CHAT}",method="POST",status="4xx"}}'] == 1
    assert not [name for name, value in after.items() if "_total" in name and "vllm:" in name and value]


def test_metrics_count_what_was_served() -> None:
    with ScriptedRuntime.serve(Script(answer=lambda _: "one two three", ttft_seconds=0.03), HOST) as runtime:
        post(runtime, HELLO)
        after = metrics(runtime)
    labels = 'engine="0",model_name="scripted"'
    assert after[f"vllm:generation_tokens_total{{{labels}}}"] == 3
    assert after[f"vllm:prompt_tokens_total{{{labels}}}"] == 2
    assert after[f'vllm:request_success_total{{{labels},finished_reason="stop"}}'] == 1
    assert after[f"vllm:time_to_first_token_seconds_count{{{labels}}}"] == 1
    assert after[f'vllm:time_to_first_token_seconds_bucket{{{labels},le="0.02"}}'] == 0
    assert after[f'vllm:time_to_first_token_seconds_bucket{{{labels},le="+Inf"}}'] == 1
    assert after[f"vllm:num_requests_running{{{labels}}}"] == 0


def test_bucket_edges_are_vllms() -> None:
    assert TTFT_EDGES[:3] + TTFT_EDGES[-2:] == (0.001, 0.005, 0.01, 640.0, 2560.0)
    assert (len(TTFT_EDGES), len(ITL_EDGES), ITL_EDGES[-1]) == (22, 19, 80.0)


def test_tokens_are_sent_when_they_are_due() -> None:
    script = Script(answer=lambda _: "a b c d", ttft_seconds=0.1, itl_seconds=0.02)
    with ScriptedRuntime.serve(script, HOST) as runtime:
        post(runtime, HELLO)
        sent = runtime.sent[0]
    due = [sent.received_at + 0.1 + index * 0.02 for index in range(4)]
    assert all(at >= earliest for at, earliest in zip(sent.token_at, due, strict=True))


def test_error_ratio_is_kept_and_the_same_for_one_seed() -> None:
    def statuses() -> list[int]:
        with ScriptedRuntime.serve(Script(error_ratio=0.3, seed=5), HOST) as runtime:
            return [post(runtime, HELLO).status_code for _ in range(40)]

    first = statuses()
    assert statuses() == first
    assert 4 <= first.count(500) <= 20


def test_script_can_change_while_it_serves() -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        runtime.script = Script(answer=lambda _: "ebb", model="scripted")
        assert post(runtime, HELLO).json()["choices"][0]["message"]["content"] == "ebb"


def test_refuse_closes_the_port_and_lets_the_stream_end() -> None:
    script = Script(answer=lambda _: "a " * 30, itl_seconds=0.01)
    asked = HELLO | {"stream": True}
    with (
        ScriptedRuntime.serve(script, HOST) as runtime,
        httpx.stream("POST", runtime.url + CHAT, json=asked, trust_env=False) as response,
    ):
        runtime.script = replace(script, faults=(Fault(FaultKind.REFUSE),))
        with pytest.raises(httpx.ConnectError):
            post_until(runtime, time.monotonic() + 10)
        *events, end = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas).split() == ["a"] * 30
    assert end == "[DONE]"


def post_until(runtime: ScriptedRuntime, deadline: float) -> None:
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.ReadError):  # it was in the closed port's queue
            post(runtime, HELLO)


@pytest.mark.parametrize("text", ["boom", "boom@1", "hang@x", "hang@-1", "hang@nan", ""])
def test_fault_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  three kinds of message, all shown to whoever typed it
        Fault.parse(text)


@pytest.mark.component
def test_command_says_ready_serves_and_ends_on_sigterm() -> None:
    code = "import sys; from guard.testing.runtime.command import command; sys.exit(command(sys.argv[1:]))"
    arguments = ["--host", HOST, "--port", "0", "--model", "tide", "--fault", "http500@60"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        url = re.findall(r"http://\S+", process.stderr.readline())[0]
        assert httpx.get(f"{url}/v1/models", trust_env=False).json()["data"][0]["id"] == "tide"
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_command_on_a_taken_port_is_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        port = runtime.url.rpartition(":")[2]
        assert command(["--host", HOST, "--port", port, "--model", "m"]) == 2
    assert "Address already in use" in capsys.readouterr().err


def test_metric_names_are_those_that_vllm_exposes() -> None:
    known = (Path(__file__).parent / "vllm_metric_names.txt").read_text().split()
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        post(runtime, HELLO)
        names = {re.split(r"[{ ]", name)[0] for name in metrics(runtime)}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} <= set(known)
