"""Does it live, does it serve what it should, and is what it sends whole?

Asks a few short questions; says nothing of quality. Every check is about the candidate alone: the baseline
only tells which models are expected, and whether silence is the candidate's fault. A check has a value and a
limit where something was measured; of what is whole or not, the reason names what is missing.
"""

import re
import statistics

import pytest

from guard.adapters.chat import ChatRequest, Reply
from guard.api.fields import seconds
from guard.api.suites import SmokeSuite
from suites.arms import Target, ids_of
from suites.judge import Judge
from suites.options import RunOptions

PROMPT = "Write two sentences about the sea."
TTFT_REQUESTS = 5
# Tokens that templates use and answers never hold: ChatML, Llama, Mistral, Gemma, Phi, GPT.
SPECIAL_TOKENS = re.compile(
    r"<\|[a-z_]+\|>|<\|[a-z_]+$|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)
# A piece of text repeated this often, over this many characters, is a loop. Arbitrary, but far from
# language: "very, very, very" occurs, and so does a rule of dashes.
MAX_REPEATS = 8
LOOP_CHARACTERS = 24
_LOOP = re.compile(rf"(.{{1,40}}?)\1{{{MAX_REPEATS},}}")


@pytest.fixture(scope="module")
def streamed(candidate: Target) -> Reply:
    """One streamed answer, which several tests look at."""
    return candidate.ask(PROMPT, max_tokens=48)


@pytest.fixture
def reply(streamed: Reply, judge: Judge) -> Reply:
    """The streamed answer; a check of it covers the time that it took, whichever test asked."""
    judge.measured(window_seconds=streamed.sample.e2e_seconds)
    return streamed


def test_liveness(candidate: Target, judge: Judge) -> None:
    """The runtime's health path answers 200."""
    path = candidate.runtime.health_path
    status = candidate.client.get(path).status_code
    judge.measured(signal="hard_limit", value=status, limit=200, samples=1, detail={"path": path})
    assert status == 200, f"{path} answers {status}"


def test_model_list(candidate: Target, run_options: RunOptions, judge: Judge) -> None:
    """/v1/models holds exactly the expected ids."""
    served = sorted(model.id for model in candidate.models)
    expected = _expected_models(candidate, run_options)
    surplus = sorted(set(served) - expected) if candidate.runtime.lists_only_served else []
    missing = sorted(expected - set(served))
    judge.measured(samples=1, detail={"served": served, "expected": sorted(expected)})
    assert not missing, f"not served: {missing}"
    assert not surplus, f"served, but not expected: {surplus}"


def _expected_models(candidate: Target, options: RunOptions) -> set[str]:
    at_baseline = (ids_of(options.baseline) if options.baseline else None) or []
    return {candidate.model, *at_baseline}


def test_completion(candidate: Target, judge: Judge) -> None:
    """A completion that is not streamed is valid: role, text, finish_reason, usage, model."""
    reply = candidate.ask(PROMPT, max_tokens=16, stream=False)
    judge.measured(signal="errors", samples=1)
    assert reply.ok, _why(reply)
    ids = {model.id for model in candidate.models}
    faults = {
        "role": reply.body["choices"][0]["message"].get("role") != "assistant",
        "text": not reply.text.strip(),
        "finish_reason": reply.sample.finish_reason not in ("stop", "length"),
        "usage": not reply.sample.output_tokens or not reply.sample.prompt_tokens,
        "model": reply.model not in ids,
    }
    wrong = [name for name, is_wrong in faults.items() if is_wrong]
    judge.measured(detail={"text": reply.text, "model": reply.model, "wrong": wrong})
    assert not wrong, f"wrong or missing in the completion: {', '.join(wrong)}"


def test_stream_is_whole(candidate: Target, reply: Reply, judge: Judge) -> None:
    """A stream has role, content, finish_reason, usage and [DONE], and names a listed model."""
    judge.measured(signal="errors", samples=1)
    facts = reply.stream
    assert reply.ok, _why(reply)
    assert facts is not None, _why(reply)
    faults = {
        "role": not facts.role,
        "content": not reply.sample.token_at,
        "finish_reason": facts.finish_reason not in ("stop", "length"),
        "usage": not reply.sample.output_tokens or not reply.sample.prompt_tokens,
        "[DONE]": not facts.done,
        "model": reply.model not in {model.id for model in candidate.models},
    }
    missing = [name for name, is_wrong in faults.items() if is_wrong]
    judge.measured(detail={"chunks": facts.chunks, "wrong": missing})
    assert not missing, f"wrong or missing in the stream: {', '.join(missing)}"


def test_stream_is_not_empty(reply: Reply, judge: Judge) -> None:
    """The streamed text holds words."""
    assert reply.ok, _why(reply)
    count = len(reply.text.split())
    judge.measured(
        signal="quality", value=count, limit=1, unit="count", samples=1, detail={"text": reply.text}
    )
    assert count >= 1, "the text is empty"


def test_stream_is_not_repetitive(reply: Reply, judge: Judge) -> None:
    """The streamed text is not the same few words again and again."""
    assert reply.ok, _why(reply)
    repeats = _repeats(reply.text)
    judge.measured(
        signal="quality",
        value=repeats,
        limit=MAX_REPEATS,
        unit="count",
        samples=1,
        detail={"text": reply.text},
    )
    assert repeats <= MAX_REPEATS, f"the same text stands {repeats} times in a row, limit {MAX_REPEATS}"


def test_no_leaked_special_tokens(reply: Reply, judge: Judge) -> None:
    """The template's own tokens do not show in the text."""
    assert reply.ok, _why(reply)
    leaked = sorted(set(SPECIAL_TOKENS.findall(reply.text)))
    judge.measured(signal="quality", samples=1, detail={"leaked": leaked})
    assert not leaked, f"{len(leaked)} kinds of special tokens in the text"


def test_unknown_model_is_refused(candidate: Target, judge: Judge) -> None:
    """A model that is not served is refused in the API's form."""
    checks_name, any_name = candidate.runtime.checks_model_name, "answers to any model name"
    if checks_name is False:
        judge.not_applicable(f"{candidate.runtime.type} {any_name}")
    request = ChatRequest.ask("tidegate-no-such-model", "hi", max_tokens=1)
    reply = candidate.judgeable(candidate.client.complete(request, stream=False))
    if checks_name is None and reply.ok and reply.model in {model.id for model in candidate.models}:
        judge.not_applicable(f"this runtime {any_name}, and says which it used")
    status = reply.sample.status
    judge.measured(signal="errors", value=status, limit=404, samples=1)
    assert status in (400, 404), f"an unknown model is answered with {status}, expected 404"
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    assert isinstance(error, dict), "the refusal is not in the API's form"
    assert error.get("message"), "the refusal has no message"


def test_ttft_median(candidate: Target, settings: SmokeSuite, judge: Judge) -> None:
    """The median time to first token of a few requests is within the limit."""
    limit = seconds(settings.ttft_median_limit)
    # Prompts that differ from their start: a shared prefix would be served from the cache.
    replies = [candidate.ask(f"{n}. {PROMPT}", max_tokens=4) for n in range(TTFT_REQUESTS)]
    times = [reply.sample.ttft_seconds for reply in replies]
    detail = {"ttft_seconds": times, "e2e_seconds": [reply.sample.e2e_seconds for reply in replies]}
    judge.measured(signal="ttft", limit=limit, unit="seconds", samples=len(times), detail=detail)
    broken = [reply for reply in replies if reply.sample.ttft_seconds is None]
    assert not broken, f"{len(broken)} of {len(replies)} without a token; {_why(broken[0])}"
    median = statistics.median(time for time in times if time is not None)
    judge.measured(value=median)
    assert median <= limit, f"median time to first token {median:.3g} s, limit {limit:g} s"


def _why(reply: Reply) -> str:
    return f"outcome {reply.sample.outcome}: {reply.sample.error}"


def _repeats(text: str) -> int:
    """How often the text's longest loop repeats; 1 where there is none."""
    loops = _LOOP.finditer(" ".join(text[:4000].split()))
    lengths = [(len(m[0]), len(m[0]) // len(m[1])) for m in loops if len(m[0]) >= LOOP_CHARACTERS]
    return max(lengths, default=(0, 1))[1]
