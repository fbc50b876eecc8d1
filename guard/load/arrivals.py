"""When each request is due: offsets in seconds from the start, computed before the first is sent.

Pure and seeded, so both arms, a second worker and a later run see the same schedule. Knows no clock.
"""

import random
from collections.abc import Iterator
from itertools import takewhile

from guard.load.plan import LoadPlan


def schedule(plan: LoadPlan) -> list[float]:
    """The open loop's due times, ascending, each in [0, duration).

    constant: k / rate for k = 0, 1, ..., rate x duration of them.
    poisson: sums of exponential gaps of mean 1 / rate; their number is itself Poisson, never zero (the
        first arrival is moved into the duration where the draw left it empty).

    Raises:
        ValueError: The plan is a closed loop, which has no schedule.
    """
    if plan.rate is None:
        raise ValueError("a closed loop has no schedule")
    if plan.arrivals == "constant":
        return [k / plan.rate for k in range(plan.expected_requests or 0)]
    drawn = takewhile(lambda at: at < plan.duration_seconds, _poisson(plan.rate, plan.seed))
    return list(drawn) or [plan.duration_seconds / 2]


def _poisson(rate: float, seed: int) -> Iterator[float]:
    rng = random.Random(f"arrivals:{seed}")
    at = 0.0
    while True:
        at += rng.expovariate(rate)
        yield at
