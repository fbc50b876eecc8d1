"""What a load is: arrivals, size of the requests, bounds. Plain data that crosses to the worker as JSON.

Owns the refusal of a plan that cannot be run or that would send more than was meant. Refuses to know
endpoints and verdicts. Both processes import this module, so it imports nothing heavy.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from guard.errors import ConfigurationError

Arrivals = Literal["constant", "poisson", "closed"]

MAX_REQUESTS = 20_000  # arbitrary: 11 a second for half an hour; more is asked for by name
START_SECONDS = 30.0  # what a worker may take to import locust on a busy machine


@dataclass(frozen=True)
class LoadTimeouts:
    """Seconds after which a request is given up, and becomes an outcome.

    Attributes:
        connect: To a connection, TLS included: `refused`.
        first_token: From sending to the first token: `timeout`. The 60 s of the hard limits.
        between_tokens: Without another token: `stalled`. Arbitrary; half of the former.
        total: For one request, whatever it does.
    """

    connect: float = 5.0
    first_token: float = 60.0
    between_tokens: float = 30.0
    total: float = 120.0


@dataclass(frozen=True)
class LoadPlan:
    """One load, the same for every arm.

    Attributes:
        arrivals: `constant` or `poisson` at `rate` requests a second and arm (open loop: requests are due
            whether or not earlier ones have ended), or `closed`: `concurrency` users an arm, each sending
            the next request when its last has ended.
        duration_seconds: New requests are sent for so long; those in flight may then end.
        max_requests: Refused when an open loop means more; an arm of a closed loop ends there.
        timeout_seconds: For the whole load; what is in flight then stays without an outcome. None: until
            the last request has had its own total.
    """

    arrivals: Arrivals
    duration_seconds: float
    rate: float | None = None
    concurrency: int | None = None
    max_tokens: int = 32
    prompt_words: int = 20
    seed: int = 0
    max_requests: int = MAX_REQUESTS
    timeout_seconds: float | None = None
    timeouts: LoadTimeouts = field(default_factory=LoadTimeouts)

    def __post_init__(self) -> None:
        """Refuses what cannot be run.

        Raises:
            ConfigurationError: Names the setting.
        """
        if not 0 < self.duration_seconds < math.inf:
            raise ConfigurationError("load: duration must be above 0 seconds")
        if self.limit_seconds < self.duration_seconds:
            raise ConfigurationError(
                f"load: a timeout of {self.limit_seconds:g} s cuts off its {self.duration_seconds:g} s"
            )
        if self.max_tokens < 1:
            raise ConfigurationError("load: maxTokens must be at least 1")
        if self.arrivals == "closed":
            self._check_closed()
        else:
            self._check_open()

    @property
    def expected_requests(self) -> int | None:
        """An arm's requests that an open loop means; None for a closed one, where the server decides."""
        return None if self.rate is None else math.floor(self.rate * self.duration_seconds + 1e-9)

    @property
    def limit_seconds(self) -> float:
        """How long the whole load may take."""
        if self.timeout_seconds is not None:
            return self.timeout_seconds
        return self.duration_seconds + self.timeouts.total

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "timeouts": LoadTimeouts(**document["timeouts"])})

    def _check_closed(self) -> None:
        if self.rate is not None:
            raise ConfigurationError("load: a closed loop has a concurrency, and no rate")
        if self.concurrency is None or not 1 <= self.concurrency <= self.max_requests:
            raise ConfigurationError("load: concurrency must be at least 1, and at most the most requests")

    def _check_open(self) -> None:
        if self.concurrency is not None:
            raise ConfigurationError(f"load: {self.arrivals} arrivals have a rate, and no concurrency")
        if self.rate is None or not 0 < self.rate < math.inf:
            raise ConfigurationError("load: rate must be above 0 requests a second")
        count = self.expected_requests or 0
        if count > self.max_requests:
            raise ConfigurationError(
                f"load: {self.rate:g} requests a second for {self.duration_seconds:g} s are {count} requests"
                f" an arm, above the limit of {self.max_requests}: raise --max-requests if you mean it"
            )
        if count < 1:
            raise ConfigurationError(
                f"load: {self.rate:g} requests a second for {self.duration_seconds:g} s are not one request"
            )
