"""What a rule did with a rollout, whoever's rule it is; and what ours is told beforehand."""

from dataclasses import dataclass
from typing import Literal

from guard.core.comparison import PromotionPolicy

Action = Literal["ROLLBACK", "PROMOTE", "HOLD"]


@dataclass(frozen=True)
class Decision:
    """The first irreversible action, or HOLD at the end.

    Attributes:
        at_seconds: When, since the first step.
        signal: Why; empty where there is nothing to name.
        verdict: At the end, in the rule's own words; empty where it has none.
        sufficient: The rule said that the evidence would suffice to promote; None: it says no such thing.
    """

    action: Action
    at_seconds: float
    signal: str = ""
    verdict: str = ""
    sufficient: bool | None = None


@dataclass(frozen=True)
class Settings:
    """What a Guard would choose."""

    policy: PromotionPolicy = "NoHarmFound"
    alpha: float = 0.009
