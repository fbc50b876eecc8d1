"""The two clocks of the daemon, as one argument: tests put their own here.

Unix time stands in objects and evidence; monotonic time is what samples and the rule use.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Seconds since 1970, and seconds since some moment that never jump."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def offset(self) -> float:
        """What turns monotonic seconds into Unix seconds, now."""
        return self.unix() - self.monotonic()
