"""The life of a Change: its phases, how it may end, and what stands on the route meanwhile.

Owns the words, and what an end is worth to a pipeline. Refuses to know how they are stored.
"""

from enum import StrEnum

from guard.core.verdict import Verdict


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


_EXIT_CODES = {Reason.PROMOTED: 0, Reason.ROLLED_BACK: 1, Reason.ABANDONED: 2, Reason.REFUSED: 3}


def exit_code(ended: Reason, verdict: Verdict | None, would_have: str | None) -> int:
    """What an end is to a pipeline: 0 go on, 1 it was bad, 2 nothing was decided, 3 it never began.

    Args:
        would_have: Of a Change that was only observed: the action (`RollBack`, `Promote`) that enforcing
            would have come to; None where it came to none. Its verdict then stands for it.
    """
    if ended is not Reason.OBSERVED:
        return _EXIT_CODES[ended]
    if would_have is not None:
        return 1 if would_have == "RollBack" else 0
    return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(verdict or Verdict.NO_DATA, 2)


def settled(ended: Reason, verdict: Verdict, would_have: str | None) -> Verdict:
    """The verdict that may stand beside an end: PASS only beside one that a pipeline may go on after.

    Until its stage is over a PASS is none: who rolls back or closes then has left the question open.
    """
    green = exit_code(ended, verdict, would_have) == 0
    return Verdict.INCONCLUSIVE if verdict is Verdict.PASS and not green else verdict


RESTING = frozenset({None, RoutePhase.PROMOTED, RoutePhase.ROLLED_BACK})
"""Route phases from which a new Change may start."""
