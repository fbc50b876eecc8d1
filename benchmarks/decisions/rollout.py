"""One simulated rollout in columns, with what a recorded rollout has (docs: the folder that replay reads).

Owns nothing but the form. Times are seconds since the first step. Requests are in the order of `sent_at`;
nan is unknown: no first token, no gap between tokens.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

OK, ERROR, REFUSED, TIMEOUT = 0, 1, 2, 3
OUTCOMES = ("ok", "error", "refused", "timeout")  # by code
STATUS = (200, 500, 503, 504)  # what a gateway in front counts, by code
USER, PROBE = 0, 1
SOURCES = ("simulated", "probe")


@dataclass(frozen=True)
class Step:
    """From `start_seconds` on, `weight_percent` of the users' requests go to the canary."""

    start_seconds: float
    weight_percent: int
    canary_replicas: int
    baseline_replicas: int


@dataclass(frozen=True)
class Requests:
    """One row a request.

    Attributes:
        pair: Number of the probe pair; -1 where a request has no partner.
        replica: Code; its name is `Rollout.replicas[code]`.
        itl_mean: Mean gap between tokens.
        finished_at: The end, whatever the outcome.
    """

    source: Codes
    pair: Ints
    canary: Bools
    replica: Codes
    weight_percent: Codes
    sent_at: Floats
    first_token_at: Floats
    itl_mean: Floats
    finished_at: Floats
    outcome: Codes
    prompt_tokens: Ints
    cached_tokens: Ints
    output_tokens: Ints

    def __len__(self) -> int:
        return len(self.sent_at)


@dataclass(frozen=True)
class Event:
    """`kind` as in events.parquet; of simulated ones: ready, gone."""

    at: float
    canary: bool
    replica: str
    kind: str


@dataclass(frozen=True)
class Evals:
    """Paired items in the order in which both arms had answered them."""

    answered_at: Floats
    baseline_pass: Bools
    canary_pass: Bools


@dataclass(frozen=True)
class Rollout:
    """All of it."""

    steps: tuple[Step, ...]
    end_seconds: float
    baseline_from_seconds: float
    replicas: tuple[str, ...]
    requests: Requests
    evals: Evals
    events: tuple[Event, ...]
