"""What was counted, per replica and stretch of time; and what happened to pods.

Owns the form in which counters reach the rule, whoever counted: a gateway per backend, a pod's /metrics.
Refuses to know how they were read. Times are seconds on the clock of the samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from guard.core.samples import Arm, Source


def is_client_error(kind: str) -> bool:
    """A 4xx: the request's own fault unless the canary has more of them than the stable."""
    return len(kind) == 3 and kind.isdigit() and kind.startswith("4")


@dataclass(frozen=True)
class CounterBlock:
    """Requests of one replica that ended in [start, start + seconds).

    Attributes:
        replica: Pod name; the Service's, where a counter does not tell its pods apart.
        requests: All that ended, errors included.
        errors: Status code or kind -> how many of them were bad.
    """

    source: Source
    arm: Arm
    replica: str
    start: float
    seconds: float
    requests: int
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """When the block is known: nothing in it may be used before."""
        return self.start + self.seconds

    @property
    def bad(self) -> int:
        """Errors of every kind, never more than the requests."""
        return min(self.requests, sum(self.errors.values()))

    @property
    def client_errors(self) -> int:
        return min(self.bad, sum(n for kind, n in self.errors.items() if is_client_error(kind)))

    def to_json(self) -> dict[str, Any]:
        return {
            "source": str(self.source),
            "arm": str(self.arm),
            "replica": self.replica,
            "start": self.start,
            "seconds": self.seconds,
            "requests": self.requests,
            "errors": dict(self.errors),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{**row, "source": Source(row["source"]), "arm": Arm(row["arm"])})


@dataclass(frozen=True)
class PodEvent:
    """`kind`: restart, oom, ready, gone, fingerprint, policy_bypass; `detail` is a sentence for a person."""

    at: float
    arm: Arm
    replica: str
    kind: str
    detail: str
