"""vLLM's /metrics for the numbers that a scripted runtime has, in the text exposition format.

Owns the names, labels and bucket edges, as vLLM 0.32 exposes them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TTFT_EDGES = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0),
    *(40.0, 80.0, 160.0, 640.0, 2560.0),
)
ITL_EDGES = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0),
    80.0,
)
# Edges of vLLM's other request histograms (its v1 engine's `request_latency_buckets`).
E2E_EDGES = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0),
    *(480.0, 960.0, 1920.0, 7680.0),
)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


@dataclass
class Histogram:
    """Cumulative buckets, as Prometheus wants them."""

    edges: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    count: int = 0

    def observe(self, value: float) -> None:
        self.counts = self.counts or [0] * len(self.edges)
        self.total += value
        self.count += 1
        for index, edge in enumerate(self.edges):
            self.counts[index] += value <= edge

    def lines(self, name: str, labels: str) -> Iterator[str]:
        yield f"# TYPE {name} histogram"
        counts = self.counts or [0] * len(self.edges)
        for edge, count in zip(self.edges, counts, strict=True):
            yield f'{name}_bucket{{{labels},le="{edge}"}} {count}'
        yield f'{name}_bucket{{{labels},le="+Inf"}} {self.count}'
        yield f"{name}_sum{{{labels}}} {self.total}"
        yield f"{name}_count{{{labels}}} {self.count}"


@dataclass
class Metrics:
    """Counters of one runtime; written by one thread."""

    running: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    http: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # handler, method, status class
    ttft: Histogram = field(default_factory=lambda: Histogram(TTFT_EDGES))
    itl: Histogram = field(default_factory=lambda: Histogram(ITL_EDGES))
    e2e: Histogram = field(default_factory=lambda: Histogram(E2E_EDGES))

    def exposition(self, model: str) -> str:
        """The text of /metrics."""
        labels = f'engine="0",model_name="{model}"'
        lines = [
            *_single("gauge", {"num_requests_running": self.running, "num_requests_waiting": 0}, labels),
            *_single("gauge", {"kv_cache_usage_perc": 0.0}, labels),
            *_single("counter", {"num_preemptions_total": 0}, labels),
            *_single("counter", {"prompt_tokens_total": self.prompt_tokens}, labels),
            *_single("counter", {"generation_tokens_total": self.generation_tokens}, labels),
            "# TYPE vllm:request_success_total counter",
            *(
                f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {self.finished[reason]}'
                for reason in FINISH_REASONS
            ),
            *self.ttft.lines("vllm:time_to_first_token_seconds", labels),
            *self.itl.lines("vllm:inter_token_latency_seconds", labels),
            *self.e2e.lines("vllm:e2e_request_latency_seconds", labels),
            "# TYPE http_requests_total counter",
            *(
                f'http_requests_total{{handler="{handler}",method="{method}",status="{status}"}} {count}'
                for (handler, method, status), count in sorted(self.http.items())
            ),
        ]
        return "\n".join(lines) + "\n"


def _single(kind: str, values: Mapping[str, float], labels: str) -> Iterator[str]:
    for name, value in values.items():
        yield f"# TYPE vllm:{name} {kind}"
        yield f"vllm:{name}{{{labels}}} {value}"
