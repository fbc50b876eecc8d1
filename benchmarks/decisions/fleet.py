"""The replicas of both arms: which exist when, and how traffic of an arm spreads over them.

Owns life times, the routing inside an arm, and the events that a cluster would tell of them. A canary's
replica starts with the step that needs it; the baseline gives one up for it where the fleet has one size.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.rollout import Bools, Codes, Event, Floats, Step

WARMED_SECONDS = 240.0  # from ready to the first user's request, where replicas are warmed up
ROUTING_SPREAD = 0.08  # of the share that a replica gets of its arm's requests, as log


@dataclass(frozen=True)
class Fleet:
    """Replicas by code.

    Attributes:
        canary: Which arm each is of.
        born, gone: When each serves: from `born` on, until `gone`.
        share: Relative share of its arm's requests, while it serves.
    """

    start: float
    end: float
    canary: Bools
    born: Floats
    gone: Floats
    share: Floats

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(
            f"{'canary' if is_canary else 'baseline'}-{code}" for code, is_canary in enumerate(self.canary)
        )

    def route(self, rng: np.random.Generator, sent_at: Floats, canary: Bools) -> Codes:
        """A replica for each request: one of its arm that serves then, by share."""
        replica = np.zeros(len(sent_at), np.int32)
        changes = np.unique(np.concatenate([self.born, self.gone, [self.start, self.end]]))
        for begin, end in itertools.pairwise(changes.tolist()):
            now = (sent_at >= begin) & (sent_at < end)
            for arm in (False, True):
                here = np.flatnonzero(now & (canary == arm))
                codes = np.flatnonzero((self.canary == arm) & (self.born <= begin) & (self.gone > begin))
                if len(here) and len(codes):
                    share = self.share[codes] / self.share[codes].sum()
                    replica[here] = rng.choice(codes, len(here), p=share)
        return replica

    def events(self, cold: bool) -> tuple[Event, ...]:
        """`ready` of each replica that started in the rollout, `gone` of each that left.

        Args:
            cold: The canary's replicas serve as soon as they are ready; else they were warmed up before.
        """
        names = self.names
        ready = self.born - np.where(self.canary & ~np.bool_(cold), WARMED_SECONDS, 0.0)
        told = [
            Event(float(at), bool(self.canary[code]), names[code], kind)
            for kind, times in (("ready", ready), ("gone", self.gone))
            for code, at in enumerate(times)
            if self.start < at < self.end
        ]
        return tuple(sorted(told, key=lambda event: event.at))


def fleet(
    rng: np.random.Generator, steps: Sequence[Step], start: float, end: float, spread: float = ROUTING_SPREAD
) -> Fleet:
    """As many as each step says; before the first, the baseline has at least its largest number."""
    canaries = max(step.canary_replicas for step in steps)
    # A fleet of one size gives replicas to the canary; a small one keeps its own and adds the canary's.
    moved = steps[0].baseline_replicas != steps[-1].baseline_replicas
    baselines = steps[0].baseline_replicas + (steps[0].canary_replicas if moved else 0)
    canary = np.arange(canaries + baselines) < canaries
    born, gone = np.full(len(canary), start), np.full(len(canary), end)
    for code in range(canaries):
        born[code] = next(s.start_seconds for s in steps if s.canary_replicas > code)
    for step in steps:
        serving = np.flatnonzero(~canary & (gone == end))
        leaving = serving[step.baseline_replicas :]
        gone[leaving] = step.start_seconds
    share = np.exp(spread * rng.standard_normal(len(canary)))
    return Fleet(start, end, canary, born, gone, share)


def autoscaled(rng: np.random.Generator, before: Fleet) -> Fleet:
    """An autoscaler on the baseline alone: half as many again join for ten minutes or so, then leave."""
    added = max(1, int((~before.canary).sum()) // 2)
    joined = rng.uniform(120.0, 900.0) + np.sort(rng.uniform(0.0, 60.0, added))
    left = np.minimum(joined + rng.uniform(300.0, 900.0), before.end)
    return Fleet(
        before.start,
        before.end,
        np.concatenate([before.canary, np.zeros(added, np.bool_)]),
        np.concatenate([before.born, joined]),
        np.concatenate([before.gone, left]),
        np.concatenate([before.share, np.exp(ROUTING_SPREAD * rng.standard_normal(added))]),
    )
