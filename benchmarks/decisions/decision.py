"""What a rule did with a rollout, whoever's rule it is; and what ours is told beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from guard.core.comparison import PromotionPolicy

Action = Literal["ROLLBACK", "PROMOTE", "HOLD"]


@dataclass(frozen=True)
class Said:
    """Of one signal's effect: a ratio, or of errors the canary's share; None where nothing was said.

    Attributes:
        low, high: Of the 95 % interval.
        would_find: The smallest effect that would have been found with probability 80 %.
    """

    value: float | None
    low: float | None
    high: float | None
    would_find: float | None


@dataclass(frozen=True)
class Decision:
    """The first irreversible action, or HOLD at the end.

    Attributes:
        at_seconds: When, since the first step.
        signal: Why; empty where there is nothing to name.
        verdict: At the end, in the rule's own words; empty where it has none.
        said: By signal, what the rule said of the effect at that moment; empty where it says no such thing.
    """

    action: Action
    at_seconds: float
    signal: str = ""
    verdict: str = ""
    said: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """What a Guard would choose, and what the engine sees.

    Attributes:
        histogram_seconds: Replicas' metrics in blocks of this length stand in place of the requests, pairs of
            probes apart; None: requests one by one.
    """

    policy: PromotionPolicy = "NoHarmFound"
    alpha: float = 0.009
    histogram_seconds: float | None = None
