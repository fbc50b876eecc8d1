"""What a scripted runtime does: its latency, its answers, its faults. Plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Messages = Sequence[Mapping[str, str]]

DEFAULT_ANSWER = "The tide turns twice a day, and a gate that swings by itself needs no keeper to watch it."


class FaultKind(StrEnum):
    """How the runtime goes wrong. All but `unhealthy`, `refuse` and `die` leave /health green."""

    HTTP500 = "http500"  # every completion is an internal error
    HANG = "hang"  # completions never begin
    STALL = "stall"  # a stream stops after a few tokens, and stays open
    TRUNCATE = "truncate"  # a stream ends after a few tokens, without finish_reason and [DONE]
    GARBAGE = "garbage"  # events that are no JSON
    REPETITIVE = "repetitive"  # one word again and again
    LEAK_SPECIAL = "leak-special"  # the template's own tokens in the text
    EMPTY = "empty"  # a whole stream without any text
    UNHEALTHY = "unhealthy"  # /health is 503
    REFUSE = "refuse"  # the port is closed; streams in flight go on
    DIE = "die"  # the port is closed and every connection cut


@dataclass(frozen=True)
class Fault:
    """A fault that begins some seconds after the runtime began to serve, and stays."""

    kind: FaultKind
    after_seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """`http500@30` or `http500`.

        Raises:
            ValueError: Not a known kind, or not a number of seconds.
        """
        kind, _, after = text.partition("@")
        if kind not in set(FaultKind):
            raise ValueError(f"unknown fault {kind!r}: one of {', '.join(FaultKind)}")
        seconds = float(after or 0)
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"fault {text!r}: seconds must be finite and not negative")
        return cls(FaultKind(kind), seconds)


@dataclass(frozen=True)
class Script:
    """Everything that a test can set.

    Attributes:
        model: The only id that is served.
        status_seconds: From the whole request to the answer's status; vLLM sends it at once, which a gateway
            may answer by cutting the stream (stack/runtime/front.py).
        ttft_seconds: From the whole request to the first token.
        itl_seconds: Between two tokens.
        error_ratio: Share of completions that are HTTP 500, spread by `seed`.
        max_model_len: Tokens of prompt and answer together; a longer prompt is HTTP 400. A token is a word.
        answer: From the messages to the text; cut at the request's max_tokens.
        api_key: Where set, models, completions and token counts need it as bearer token.
        checks_model_name: False answers to any name, as llama.cpp does.
    """

    model: str = "scripted"
    status_seconds: float = 0.0
    ttft_seconds: float = 0.0
    itl_seconds: float = 0.0
    error_ratio: float = 0.0
    max_model_len: int = 2048
    faults: tuple[Fault, ...] = ()
    answer: Callable[[Messages], str] = lambda _: DEFAULT_ANSWER
    api_key: str | None = None
    checks_model_name: bool = True
    owned_by: str = "vllm"
    version: str = "0.32.0"
    seed: int = 0
