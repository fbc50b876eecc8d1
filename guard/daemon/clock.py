"""The two clocks of the daemon, as one argument: tests put their own here; and time as Kubernetes writes it.

Unix time stands in objects and evidence; monotonic time is what samples and the rule use.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Seconds since 1970, and seconds since some moment that never jump."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def offset(self) -> float:
        """What turns monotonic seconds into Unix seconds, now."""
        return self.unix() - self.monotonic()


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds as Kubernetes writes a MicroTime."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix_seconds(text: str | None) -> float | None:
    """The reverse, with any offset."""
    return None if text is None else datetime.fromisoformat(text).timestamp()
