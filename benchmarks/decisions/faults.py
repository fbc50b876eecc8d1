"""What is wrong with the canary: the changes that must be found, and those too small to matter.

Owns the effect of each fault on the canary's requests and eval items. A fault is there from the canary's
first request on, unless it says otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.decisions.rollout import Bools, Floats

HANG_SECONDS = 120.0  # when the client gives up
CRASH_EVERY_SECONDS, CRASH_SECONDS = 240.0, 10.0


@dataclass
class Effect:
    """On each canary request, in order of time; `sent_at` in seconds since the first step."""

    sent_at: Floats
    ttft_factor: Floats
    itl_factor: Floats
    failed: Bools
    refused: Bools
    hangs: Bools


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        apply: Changes the effect in place.
        eval_points: Points of eval pass rate that the canary loses, 0 to 1.
        truth: True ratios of `ttft` and `itl`, where one number says it.
    """

    apply: Callable[[np.random.Generator, Effect], None]
    eval_points: float = 0.0
    truth: Mapping[str, float] = field(default_factory=dict)


def effect(rng: np.random.Generator, fault: str, sent_at: Floats) -> Effect:
    """What the fault does to canary requests.

    Raises:
        KeyError: No fault has that name.
    """
    count = len(sent_at)
    found = Effect(sent_at, np.ones(count), np.ones(count), *(np.zeros(count, np.bool_) for _ in range(3)))
    FAULTS[fault].apply(rng, found)
    return found


def _none(rng: np.random.Generator, effect: Effect) -> None:
    """As good as the baseline."""


def _slowdown(ttft: float = 1.0, itl: float = 1.0) -> Fault:
    def apply(rng: np.random.Generator, effect: Effect) -> None:
        effect.ttft_factor *= ttft
        effect.itl_factor *= itl

    return Fault(apply, truth={"ttft": ttft, "itl": itl})


def _errors(share: float) -> Callable[[np.random.Generator, Effect], None]:
    def apply(rng: np.random.Generator, effect: Effect) -> None:
        effect.failed |= rng.random(len(effect.sent_at)) < share

    return apply


def _dead(rng: np.random.Generator, effect: Effect) -> None:
    """No request is even taken."""
    effect.refused[:] = True


def _crashloop(rng: np.random.Generator, effect: Effect) -> None:
    """Nothing is taken for 10 s in every 240 s."""
    phase = rng.uniform(0, CRASH_EVERY_SECONDS)
    effect.refused |= (effect.sent_at + phase) % CRASH_EVERY_SECONDS < CRASH_SECONDS


def _hang(rng: np.random.Generator, effect: Effect) -> None:
    """One request of twenty never sees a token."""
    effect.hangs |= rng.random(len(effect.sent_at)) < 0.05


def _leak(rng: np.random.Generator, effect: Effect) -> None:
    """Slower and slower: twice as slow after half an hour."""
    growth = 1 + np.clip(effect.sent_at / 1800.0, 0, 1)
    effect.ttft_factor *= growth
    effect.itl_factor *= growth


def _tail(rng: np.random.Generator, effect: Effect) -> None:
    """One request of fifty takes five times as long to its first token; the others are as good as ever."""
    effect.ttft_factor[rng.random(len(effect.sent_at)) < 0.02] *= 5.0


FAULTS = {
    "null": Fault(_none, truth={"ttft": 1.0, "itl": 1.0}),
    "within_margin": _slowdown(ttft=1.05, itl=1.03),  # below every margin: 10 % of TTFT, 5 % of ITL
    "ttft_x2": _slowdown(ttft=2.0),
    "ttft_x1_5": _slowdown(ttft=1.5),
    "itl_x1_3": _slowdown(itl=1.3),
    "err_5pct": Fault(_errors(0.05)),
    "err_2pct": Fault(_errors(0.02)),
    "dead": Fault(_dead),
    "crashloop": Fault(_crashloop),
    "hang_5pct": Fault(_hang),
    "leak_x2": Fault(_leak),
    "tail": Fault(_tail),
    "qual_-10": Fault(_none, eval_points=0.10),
}
