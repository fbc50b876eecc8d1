"""A recorded rollout in columns: what `tidegate replay` judges again, and what was known of it when.

Owns the forms, and for each row the moment from which it may be used: a request from when it was sent, its
first token and its end from when they came, a block from its end. Knows no file. Times are seconds since the
first step; arrays of one object have one length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem, PromotionPolicy
from guard.core.histogram_blocks import HistogramBlock
from guard.core.objectives import Objective
from guard.core.observations import Bools, Codes, Floats
from guard.core.rule import ALPHA
from guard.core.samples import Source

MIN_REQUESTS = 200
PLANNED_SECONDS = 1800.0


@dataclass(frozen=True)
class RecordedStep:
    """From `start_seconds` on, this share of the traffic went to the canary.

    Attributes:
        canary_replicas, baseline_replicas: None where not recorded.
        min_requests: None: the settings'.
    """

    start_seconds: float
    weight_percent: int
    canary_replicas: int | None = None
    baseline_replicas: int | None = None
    min_requests: int | None = None


@dataclass(frozen=True)
class ReplaySettings:
    """What a decision is made under; the defaults are those of a Guard that says nothing.

    Attributes:
        alpha: Share of good rollouts that may be rolled back: evidence counts from 1 / alpha on.
        planned_seconds: Within which the onset of a fault is expected; None: `PLANNED_SECONDS`, or the
            recorded steps where they took longer.
    """

    alpha: float = ALPHA
    policy: PromotionPolicy = "NoHarmFound"
    objectives: tuple[Objective, ...] = ()
    min_requests: int = MIN_REQUESTS
    warm_up_seconds: float = 180.0
    planned_seconds: float | None = None


@dataclass(frozen=True)
class RequestLog:
    """Requests of one source, in the order in which they became known.

    Attributes:
        known: From when each exists for a decision: when it was sent.
        started: When it was due, or sent: what its latency counts from.
        replica: One code per arm and replica, in order of appearance in the rollout.
        pair: The same code for both halves of a pair of probes; -1 without one.
        first_token, finished, itl_mean, output_tokens: nan where unknown or never.
        outcome: As `observations` has it; WAITS where no end is known.
    """

    known: Floats
    started: Floats
    canary: Bools
    replica: Codes
    pair: Codes
    first_token: Floats
    finished: Floats
    itl_mean: Floats
    output_tokens: Floats
    outcome: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.known)


@dataclass(frozen=True)
class EvalLog:
    """Items answered by both arms, in order of time."""

    answered_at: Floats = field(default_factory=lambda: np.zeros(0))
    items: Sequence[str] = ()
    baseline_pass: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    canary_pass: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))

    def pairs(self, begin: int, end: int) -> list[PairedItem]:
        rows = zip(
            self.items[begin:end],
            self.baseline_pass[begin:end].tolist(),
            self.canary_pass[begin:end].tolist(),
            strict=True,
        )
        return [PairedItem(*row) for row in rows]


@dataclass(frozen=True)
class Rollout:
    """Everything that was recorded, without what cannot be used.

    Attributes:
        steps: At least one, in order of time.
        end_seconds: Of the last step.
        requests: By source.
        replicas: (arm, name) by code.
        blocks, histograms, events: In the order in which they became known.
        dropped: What was wrong with rows or values that were left out -> how many.
        unused: What no rule reads yet -> how many rows.
    """

    steps: tuple[RecordedStep, ...]
    end_seconds: float
    baseline_from_seconds: float = 0.0
    requests: Mapping[Source, RequestLog] = field(default_factory=dict)
    replicas: tuple[tuple[str, str], ...] = ()
    blocks: tuple[CounterBlock, ...] = ()
    histograms: tuple[HistogramBlock, ...] = ()
    events: tuple[PodEvent, ...] = ()
    evals: EvalLog = field(default_factory=EvalLog)
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    dropped: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def planned_seconds(self) -> float:
        recorded = self.end_seconds - self.steps[0].start_seconds
        return self.settings.planned_seconds or max(PLANNED_SECONDS, recorded)

    def settings_document(self) -> dict[str, Any]:
        """What it is judged under, for whoever reads the decision."""
        chosen = self.settings
        return {
            "alpha": chosen.alpha,
            "policy": chosen.policy,
            "objectives": [
                {"name": o.name, "limit": getattr(o, "limit_seconds", o.limit_ratio)}
                for o in chosen.objectives
            ],
            "minRequests": [step.min_requests or chosen.min_requests for step in self.steps],
            "warmUpSeconds": chosen.warm_up_seconds,
            "plannedSeconds": self.planned_seconds,
        }
