"""When traffic has really left the canary: no *new* user request for a quiet period, and no open stream.

A patch that returned 200 is not the end of a rollback: the gateway learns of it later, and streams go on.
Owns the three times of a rollback's end. Refuses to know why the traffic left.
"""

from guard.adapters.endpoint import Endpoint
from guard.api.fields import seconds
from guard.api.guard import GuardSpec
from guard.core.samples import Arm
from guard.daemon.analyse import Analysis
from guard.daemon.in_flight import InFlight
from guard.daemon.measure import Measurements
from guard.daemon.progress import Progress

QUIET_SECONDS = 3.0  # arbitrary: longer than a gateway takes to learn of a weight, short beside a rollback


class Drain:
    """Watches the canary after its weight has gone to 0."""

    def __init__(
        self, spec: GuardSpec, measurements: Measurements, analysis: Analysis, in_flight: InFlight
    ) -> None:
        self._timeout = seconds(spec.drain.timeout)
        self._in_flight = in_flight
        self._measurements = measurements
        self._analysis = analysis

    def quiet(self, progress: Progress, now: float, clock_offset: float, canaries: list[Endpoint]) -> bool:
        """Whether it is over; writes `last_new_request_at` and `quiet_at` into the progress.

        Silence counts only as far as somebody has looked. When `drain.timeout` has passed, streams still
        open no longer count, and what nobody saw is not waited for: then `quiet_at` stays None.
        """
        if progress.quiet_at is not None:
            return True
        if progress.patched_at is None or progress.weight_percent > 0:
            return False
        known = (progress.last_new_request_at, self._last_new_request(clock_offset))
        progress.last_new_request_at = max((at for at in known if at is not None), default=None)
        since = max(progress.patched_at, progress.last_new_request_at or 0.0)
        if (seen_from := self._measurements.seen_from) is not None:
            since = max(since, seen_from + clock_offset)
        if now - since < QUIET_SECONDS:
            return False
        seen_until = self._measurements.seen_until
        seen = seen_until is not None and seen_until + clock_offset - since >= QUIET_SECONDS
        open_or_unknown = not seen or self._in_flight.count(canaries, now) != 0
        if open_or_unknown and now - progress.patched_at < self._timeout:
            return False
        progress.quiet_at = now if seen else None
        return True

    def _last_new_request(self, clock_offset: float) -> float | None:
        """By the access log where there is one; else when the counters last moved, an upper bound."""
        logged = self._measurements.last_canary_request_at
        if logged is not None:
            return logged
        counted = [b.start + b.seconds for b in self._analysis.blocks if b.arm is Arm.CANARY]
        return max(counted) + clock_offset if counted else None
