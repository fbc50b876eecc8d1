"""Suites and objectives as a Guard and a `--config` file write them.

```yaml
suites:
  - {name: smoke}
  - {name: eval, items: 16, seed: 7}
  - {name: load, rate: "2", duration: 30s}
objectives:
  - {signal: ttft, quantile: p95, limit: 750ms}
  - {signal: errors, limit: "1%"}
```
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from guard.api.fields import Count, Duration, Percentage, Quantile, Strict, quantile, ratio, seconds
from guard.core import objectives

PromotionPolicy = Literal["NoHarmFound", "NonInferior"]


class SmokeSuite(Strict):
    """Health, model list, one valid answer, one whole stream, and a wide limit on time to first token."""

    name: Literal["smoke"]
    ttft_median_limit: Duration = "10s"
    timeout: Duration = "60s"


class Dataset(Strict):
    """Own items: JSON Lines, one item a line (docs/eval-items.md)."""

    file: str | None = None
    config_map: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Dataset":
        if (self.file is None) == (self.config_map is None):
            raise ValueError("expected exactly one of file, configMap")
        return self


class EvalSuite(Strict):
    """Graded items, answered by baseline and candidate in turn."""

    name: Literal["eval"]
    items: Count = 40  # drawn by seed from the data set; 0 takes all
    families: tuple[str, ...] = ()  # empty: all
    seed: Count = 0
    min_items: Count = 12
    dataset: Dataset | None = None  # None: the items that ship with Tidegate
    timeout: Duration = "10m"


class LoadSuite(Strict):
    """Open-loop streaming load on both arms, by Locust in a process of its own."""

    name: Literal["load"]
    arrivals: Literal["constant", "poisson"] = "poisson"
    rate: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")] = "1"  # requests a second and arm
    duration: Duration = "30s"
    max_tokens: Count = 32
    prompt_words: Count = 20
    seed: Count = 0
    min_requests: Count = 20
    timeout: Duration = "10m"


class PolicySuite(Strict):
    """Attempts to get past a policy gateway, and calls that must get through it (docs/policy.md)."""

    name: Literal["policy"]
    adapter: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+:[A-Za-z0-9_]+$")] = (
        "guard.adapters.policy.gateway:connect"
    )
    cwd: str = "."  # the folder of the gateway's workspace that is a git repository
    settle: Duration = "2s"  # how long a record or an alert may come after the answer
    timeout: Duration = "10m"


# What a Guard runs on its own track; the policy gateway is no part of the model's deployment.
Suite = Annotated[SmokeSuite | EvalSuite | LoadSuite, Field(discriminator="name")]
GateSuite = Annotated[SmokeSuite | EvalSuite | LoadSuite | PolicySuite, Field(discriminator="name")]


class LatencyObjective(Strict):
    """At most 1 - q of the requests may be slower than the limit."""

    signal: Literal["ttft", "itl", "tpot", "e2e"]
    quantile: Quantile
    limit: Duration

    @property
    def quantile_ratio(self) -> float:
        return quantile(self.quantile)

    @property
    def limit_seconds(self) -> float:
        return seconds(self.limit)


class ErrorObjective(Strict):
    """At most this share of the requests may fail."""

    signal: Literal["errors"]
    limit: Percentage

    @property
    def limit_ratio(self) -> float:
        return ratio(self.limit)


Objective = Annotated[LatencyObjective | ErrorObjective, Field(discriminator="signal")]


def to_core(objective: LatencyObjective | ErrorObjective) -> objectives.Objective:
    """An objective as the core judges it."""
    if isinstance(objective, ErrorObjective):
        return objectives.ErrorObjective(objective.limit_ratio)
    return objectives.LatencyObjective(objective.signal, objective.quantile_ratio, objective.limit_seconds)


def latency_limits(wanted: Iterable[LatencyObjective | ErrorObjective]) -> dict[str, float]:
    """Seconds for each latency signal; the strictest where it has objectives at several quantiles."""
    limits: dict[str, float] = {}
    for objective in wanted:
        if isinstance(objective, LatencyObjective):
            known = limits.get(objective.signal, float("inf"))
            limits[objective.signal] = min(known, objective.limit_seconds)
    return limits


class SuitesConfig(Strict):
    """A `--config` file: which suites run, against which objectives, under which policy."""

    suites: tuple[GateSuite, ...] = (SmokeSuite(name="smoke"), EvalSuite(name="eval"), LoadSuite(name="load"))
    objectives: tuple[Objective, ...] = ()
    policy: PromotionPolicy = "NoHarmFound"
    expect_change: tuple[str, ...] | None = None  # None: all fields but accelerator, suite version, dataset

    @model_validator(mode="after")
    def _each_suite_once(self) -> "SuitesConfig":
        names = [suite.name for suite in self.suites]
        if len(names) != len(set(names)):
            raise ValueError("suites: each name once")
        return self
