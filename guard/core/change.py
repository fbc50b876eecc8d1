"""The life of a Change: its phases, how it may end, and what stands on the route meanwhile.

Owns the words. Refuses to know how they are stored.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a Change is. The route's annotation holds the subset that both guard replicas must agree on."""

    PENDING = "Pending"  # the canary is not ready yet; nothing is touched
    TESTING = "Testing"  # suites before traffic; the weight is 0
    PROGRESSING = "Progressing"
    PROMOTING = "Promoting"
    ROLLING_BACK = "RollingBack"
    FINISHED = "Finished"


class RoutePhase(StrEnum):
    """The annotation `tidegate.dev/phase` on the route."""

    PROGRESSING = "Progressing"
    PROMOTING = "Promoting"
    PROMOTED = "Promoted"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"


class Reason(StrEnum):
    """How a Change ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    REFUSED = "Refused"  # by a check of the plan, before any traffic; not by a verdict
    ABANDONED = "Abandoned"
    OBSERVED = "Observed"


class Intent(StrEnum):
    """What an operator asked for in `spec.action`."""

    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    HOLD = "Hold"
    RESUME = "Resume"
    CLOSE = "Close"


RESTING = frozenset({None, RoutePhase.PROMOTED, RoutePhase.ROLLED_BACK})
"""Route phases from which a new Change may start."""
