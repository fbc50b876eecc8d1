"""The Guard: standing policy of one served model.

Holds only what this version does. A key of a later version is refused by name, like any unknown key, rather
than accepted and ignored.
"""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from guard.api.fields import Count, Duration, Strict, Whole
from guard.api.suites import Objective, PromotionPolicy, Suite
from guard.core.schedule import EXAMPLE, check_cron

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Port = Annotated[Whole, Field(ge=1, le=65535)]


class Runtime(Strict):
    """What answers behind the Services, and the model ids that it must serve."""

    type: Literal["vLLM", "llama.cpp", "Ollama", "OpenAI"]
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    port: Port = 8000
    metrics_path: str = "/metrics"


class SecretKey(Strict):
    name: Name
    key: str


class Auth(Strict):
    """The runtime's API key: only ever by reference."""

    secret_ref: SecretKey


class Route(Strict):
    kind: Literal["HTTPRoute"] = "HTTPRoute"
    name: Name


class Workload(Strict):
    kind: Literal["Deployment"] = "Deployment"
    name: Name


class Track(Strict):
    """One side of the route: the workload, and the Service that the route names."""

    workload: Workload
    service: Name


class Target(Strict):
    runtime: Runtime
    auth: Auth | None = None
    route: Route
    stable: Track
    canary: Track

    @model_validator(mode="after")
    def _two_tracks(self) -> "Target":
        if self.stable.service == self.canary.service:
            raise ValueError(
                "stable.service and canary.service are the same; the route cannot tell them apart"
            )
        if self.stable.workload == self.canary.workload:
            raise ValueError("stable.workload and canary.workload are the same")
        return self


class Gateway(Strict):
    """Where the gateway's metrics are; a Service's URL is read from each of its ready endpoints."""

    type: Literal["Traefik"]
    url: Annotated[str, Field(pattern=r"^https?://")]


class Probes(Strict):
    """Paired synthetic requests to both arms, pod by pod, past the gateway."""

    per_minute: Annotated[Whole, Field(ge=0, le=600)] = 30
    max_tokens: Annotated[Whole, Field(ge=1, le=1024)] = 64


class Signals(Strict):
    gateway: Gateway
    probes: Probes = Probes()


def _cron(text: str) -> str:
    check_cron(text)
    return text


Cron = Annotated[str, AfterValidator(_cron), Field(examples=[EXAMPLE])]


class Scheduled(Strict):
    """Suites that probe the stable at these times (UTC), one after another."""

    cron: Cron
    suites: Annotated[tuple[Suite, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_suite_once(self) -> "Scheduled":
        names = [suite.name for suite in self.suites]
        if len(names) != len(set(names)):
            raise ValueError("suites: each name once")
        return self


class SuitePlan(Strict):
    """Which suites run when."""

    before_traffic: tuple[Suite, ...] = ()
    on_step: tuple[Suite, ...] = ()
    after_rollback: tuple[Suite, ...] = ()
    schedule: tuple[Scheduled, ...] = ()


class Step(Strict):
    weight: Annotated[Whole, Field(ge=1, le=100)]
    hold: Duration
    min_requests: Count = 200


class Promotion(Strict):
    policy: PromotionPolicy = "NoHarmFound"
    strategy: Literal["CopyToStable"] = "CopyToStable"


class Drain(Strict):
    """What becomes of streams still open when the weight has gone."""

    timeout: Duration = "120s"
    then: Literal["Wait"] = "Wait"


class Deadlines(Strict):
    provisioning: Duration = "30m"
    step: Duration = "30m"
    change: Duration = "4h"


class UrlKey(SecretKey):
    """The webhook's URL: whoever knows it may write to the channel."""

    key: str = "url"


class Webhook(Strict):
    secret_ref: UrlKey


NotifiedEvent = Literal[
    "RollingBack", "RolledBack", "WouldRollBack", "Held", "Promoted", "Abandoned", "Refused",
    "ProbeFailed", "ProbeError", "ProbeRecovered", "ErrorBudgetBurning", "ErrorBudgetRecovered",
]  # fmt: skip


class Notification(Strict):
    """Who is told of what, by webhook."""

    # `events`, not `on`: YAML 1.1 reads an unquoted `on` as true, and kubectl then sends another key.
    webhook: Webhook
    format: Literal["Tidegate", "Slack"] = "Tidegate"
    events: Annotated[tuple[NotifiedEvent, ...], Field(min_length=1)] = get_args(NotifiedEvent)


class GuardSpec(Strict):
    enforcement: Literal["Advise", "Enforce"] = "Advise"
    weights_managed_by: Literal["Tidegate"] = "Tidegate"
    changes: Literal["Required"] = "Required"
    target: Target
    signals: Signals
    suites: SuitePlan = SuitePlan()
    objectives: tuple[Objective, ...] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    baseline: Literal["Concurrent"] = "Concurrent"
    promotion: Promotion = Promotion()
    on_inconclusive: Literal["Hold", "Rollback"] = "Hold"
    drain: Drain = Drain()
    deadlines: Deadlines = Deadlines()
    notify: tuple[Notification, ...] = ()

    @model_validator(mode="after")
    def _steps_rise(self) -> "GuardSpec":
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError(f"steps: weights must rise, got {', '.join(map(str, weights))}")
        return self
