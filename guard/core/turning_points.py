"""Of a decision's ticks those that a person has to see: where a step began, a verdict or a signal changed.

Owns nothing but the choice. Evidence that grows is told of at each of a few levels, once.
"""

from collections.abc import Sequence

from guard.core.replay import Moment

_LEVELS = (0.02, 0.1, 0.5)  # of the threshold; arbitrary


def turning_points(timeline: Sequence[Moment], threshold: float, most: int = 24) -> list[Moment]:
    """In order; the first and the last always, of too many between them the later ones."""
    found: list[Moment] = []
    reached = 0.0
    for before, moment in zip([None, *timeline], timeline, strict=False):
        level = max((share for share in _LEVELS if moment.evidence >= share * threshold), default=0.0)
        if before is None or _turned(before, moment) or level > reached:
            found.append(moment)
        reached = max(reached, level)
    if timeline and found[-1] is not timeline[-1]:
        found.append(timeline[-1])
    return found if len(found) <= most else [found[0], *found[len(found) - most + 1 :]]


def _turned(before: Moment, moment: Moment) -> bool:
    return (before.step, before.verdict, before.signal) != (moment.step, moment.verdict, moment.signal)
