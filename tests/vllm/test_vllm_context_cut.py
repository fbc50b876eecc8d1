"""A canary whose context is cut: fine for short prompts, 400 for long ones; and how such a pod ends."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.vllm.vllm_stack import MODEL, Stack

pytestmark = pytest.mark.vllm

CONTEXT = 384
CHAT = "/v1/chat/completions"


def body(prompt: str, max_tokens: int, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": MODEL, "messages": messages, "max_tokens": max_tokens, **more}


def post(url: str, prompt: str) -> httpx.Response:
    return httpx.post(f"{url}{CHAT}", json=body(prompt, 2), timeout=60, trust_env=False)


def stream(url: str, began: threading.Event) -> list[str]:
    """The events of a long answer; `began` is set when its first token has come."""
    asked = body("Count.", 100, ignore_eos=True, stream=True)
    lines: list[str] = []
    with httpx.stream("POST", f"{url}{CHAT}", json=asked, timeout=120, trust_env=False) as response:
        for line in filter(None, response.iter_lines()):
            lines.append(line)
            if len(lines) == 2:
                began.set()
    return lines


def test_long_prompts_alone_are_refused_and_a_stream_in_flight_outlives_the_pods_end(stack: Stack) -> None:
    began = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with stack.canary(f"--max-model-len={CONTEXT}") as canary:
            assert post(canary, "hi").status_code == 200
            refused = post(canary, "tide " * CONTEXT)
            assert refused.status_code == 400
            assert f"maximum context length is {CONTEXT} tokens" in refused.json()["error"]["message"]
            answer: Future[list[str]] = pool.submit(stream, canary, began)
            assert began.wait(60)
        lines = answer.result(60)
    assert lines[-1] == "data: [DONE]"
    assert sum('"content"' in line for line in lines) >= 100
