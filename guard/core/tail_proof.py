"""Proof that the canary's TTFT q95 is not 1.25 times the baseline's or more, in a fleet of few replicas.

Owns the test martingale against H0 "of the canary's values, a share at least as large lies above 1.25 q as of
the baseline's above q", q the baseline's past q95 (DESIGN 5.7). In one bin, given how many of all requests
were above their line, the canary's part is hypergeometric when H0 just holds, whatever the share is at that
moment: drift that both arms share cancels. e = omega^y / E[omega^Y] bets that the canary's part is smaller
and has mean 1 there, at most 1 where the canary is worse.

Requests of one replica are slow together, so ln e is divided by D >= 1: the variance of the arms' shares over
60 s blocks, by what independent requests would have, measured on the baseline. A baseline whose share drifts
makes D larger than need be, never smaller. Refuses to know latencies: callers count, on
values at matched load.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

OMEGAS = (0.25, 0.5)
BLOCK_BINS = 6
PRIOR_RATIO, PRIOR_BLOCKS = 1.3, 10.0  # arbitrary: independence is not presumed
_MOST = 700.0


@dataclass
class _Sums:
    log_quarter: float = 0.0  # one for each of OMEGAS
    log_half: float = 0.0
    bins: int = 0  # in the open block
    over: float = 0.0  # of the baseline in the open block
    total: float = 0.0
    blocks: int = 0
    overs: float = 0.0  # of the baseline in closed blocks: sums of y, n, y^2, y n, n^2
    totals: float = 0.0
    yy: float = 0.0
    yn: float = 0.0
    nn: float = 0.0
    canary_total: float = 0.0  # since the step began
    step_bins: int = 0


class TailProof:
    """One `observe` a bin of 10 s."""

    def __init__(self) -> None:
        self._s = _Sums()

    def start_step(self) -> None:
        """Starts again, but for the baseline: at another weight the canary has proved nothing yet."""
        s = self._s
        s.log_quarter = s.log_half = s.canary_total = 0.0
        s.step_bins = 0

    def observe(self, canary_over: int, canary_total: int, baseline_over: int, baseline_total: int) -> None:
        """One bin's counts: canary's values above 1.25 q95, baseline's above q95, and how many there were."""
        s = self._s
        if canary_total and baseline_total:
            s.log_quarter, s.log_half = (
                log + log_bet(omega, canary_over, canary_total, baseline_over, baseline_total)
                for omega, log in zip(OMEGAS, (s.log_quarter, s.log_half), strict=True)
            )
        s.canary_total, s.step_bins = s.canary_total + canary_total, s.step_bins + 1
        s.over, s.total, s.bins = s.over + baseline_over, s.total + baseline_total, s.bins + 1
        if s.bins == BLOCK_BINS:
            self._close_block()

    def _close_block(self) -> None:
        s = self._s
        s.yy, s.yn, s.nn = s.yy + s.over**2, s.yn + s.over * s.total, s.nn + s.total**2
        s.overs, s.totals, s.blocks = s.overs + s.over, s.totals + s.total, s.blocks + 1
        s.over, s.total, s.bins = 0.0, 0.0, 0

    def divisor(self) -> float:
        """D: a block of n values has 1 + (n - 1) r times the binomial variance; r is the baseline's."""
        s = self._s
        p = s.overs / s.totals if s.totals else 0.0
        if not 0 < p < 1 or not s.canary_total:
            return PRIOR_RATIO
        squares = (s.yy - 2 * p * s.yn + p * p * s.nn) / (p * (1 - p) * s.totals / s.blocks)
        ratio = (squares + PRIOR_RATIO * PRIOR_BLOCKS) / (s.blocks + PRIOR_BLOCKS)
        of_baseline = s.totals / s.blocks
        of_canary = s.canary_total * BLOCK_BINS / s.step_bins
        correlation = max(0.0, ratio - 1) / of_baseline
        return 1 + 2 * correlation / (1 / of_canary + 1 / of_baseline)

    def evidence(self) -> float:
        """The e-value against H0; 1 before the first bin."""
        divisor = self.divisor()
        logs = (self._s.log_quarter / divisor, self._s.log_half / divisor)
        return sum(math.exp(min(_MOST, log)) for log in logs) / len(OMEGAS)

    def state(self) -> dict[str, Any]:
        return asdict(self._s)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._s = _Sums(**state)
        return self


def log_bet(omega: float, over: int, total: int, other_over: int, other_total: int) -> float:
    """ln omega^y - ln E omega^Y, Y hypergeometric: `over + other_over` of all fall on `total` of them."""
    marked, others = over + other_over, other_total
    low, high = max(0, marked - others), min(marked, total)
    logs = [
        y * math.log(omega) + _log_choose(total, y) + _log_choose(others, marked - y)
        for y in range(low, high + 1)
    ]
    top = max(logs)
    mean = top + math.log(math.fsum(math.exp(log - top) for log in logs))
    return over * math.log(omega) - mean + _log_choose(total + others, marked)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
