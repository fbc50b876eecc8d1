"""When the fault began that a decision was made for, as far as single requests can say.

The onset is the first sign of the last unbroken run of signs in the step: a bad canary request, whoever sent
it, or a restart, an OOM kill or a foreign template of a canary pod. A minute without a sign breaks a run, and
a new step begins with none. Signs of a slowdown or of worse answers are no single requests: their onset is
unknown. Honest limits: errors that the stable has as well are signs, too (then the onset is too early), and a
fault that shows less than once a minute is dated to its last sign. Refuses to judge.
"""

from collections.abc import Iterable

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.samples import Arm, Outcome, RequestSample

BREAK_SECONDS = 60.0  # arbitrary: three windows of the hard limits
_EVENTS = frozenset({"restart", "oom", "fingerprint", "policy_bypass"})
_SIGNALS = frozenset({"errors", "hard_limit"})


class Onset:
    """One Change's signs of a fault; times on the clock of the samples."""

    def __init__(self) -> None:
        self._signs: list[float] = []

    def start_step(self) -> None:
        self._signs.clear()

    def take(self, samples: Iterable[RequestSample], blocks: Iterable[CounterBlock]) -> None:
        """A block's errors happened at its start at the earliest."""
        self._signs += [b.start for b in blocks if b.arm is Arm.CANARY and b.bad]
        for sample in samples:
            bad = sample.outcome not in (None, Outcome.OK)
            if sample.arm is Arm.CANARY and bad and sample.started_at is not None:
                self._signs.append(sample.started_at)

    def take_events(self, events: Iterable[PodEvent]) -> None:
        self._signs += [e.at for e in events if e.arm is Arm.CANARY and e.kind in _EVENTS]

    def at(self, signal: str | None) -> float | None:
        """The onset of what `signal` decided; None where it is not known."""
        if signal not in _SIGNALS or not self._signs:
            return None
        *earlier, onset = sorted(self._signs)
        for sign in reversed(earlier):
            if onset - sign >= BREAK_SECONDS:
                break
            onset = sign
        return onset
