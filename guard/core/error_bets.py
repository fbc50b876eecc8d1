"""What counts of errors of both arms say, for every moment at which the fault may have begun.

Owns the formulas of DECISION's "Errors" between the counts and the e-value, with their constants: pure
functions of what the baseline did. K, N are its episodes and armed arrivals, K_c, N_c the canary's episodes
and exposure since an onset. With a Gamma(a, n0) prior on the baseline's ratio of errors, which K of N update,

    L = [K_c ln omega - (a + K + K_c) ln((n0 + N + omega r N_c) / (n0 + N + r N_c))] / D

is the logarithm of how much better "omega times the allowed ratio" foretells K_c than "the allowed ratio".
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from guard.core.binomial import binomial_upper_tail, fisher_p
from guard.core.observations import Floats

PRIOR_EPISODES = 0.5  # a
PRIOR_ARRIVALS = 100.0  # n0
OMEGAS = np.array([[3.0], [9.0]])
INCIDENTS_PER_SECOND = 1 / 3600  # of one replica, not caused by the change
SILENT_P = 0.01


@dataclass(frozen=True)
class BaselineErrors:
    """K, N and D: all that the bets know of the baseline."""

    episodes: int = 0
    arrivals: float = 0.0
    divisor: float = 1.0

    @property
    def allowed_ratio(self) -> float:
        """The ratio of error rates that is still no harm: r(K)."""
        return 1.1 + 0.4 * self.episodes / (self.episodes + 100)

    @property
    def requests(self) -> int:
        """Armed arrivals as a whole number, no fewer than the episodes among them."""
        return max(self.episodes, round(self.arrivals))

    @property
    def rate(self) -> float:
        """Episodes per armed arrival, as the prior and all that was seen say."""
        return (self.episodes + PRIOR_EPISODES) / (self.arrivals + PRIOR_ARRIVALS)

    def rate_above(self, deviations: float) -> float:
        """The same by so many standard deviations higher."""
        k = self.episodes + PRIOR_EPISODES
        return (k + deviations * math.sqrt(k)) / (self.arrivals + PRIOR_ARRIVALS)

    def allowance(self, arrivals: int, replicas: int, seconds: float, armed_seconds: float) -> float:
        """Exposure that stands for incidents of a replica which the change did not cause.

        Args:
            arrivals, replicas: Of the canary in a bin of so many seconds.
            armed_seconds: Over all its replicas.
        """
        if not arrivals:
            return 0.0
        per_second = min(1.0, arrivals / seconds / max(1, replicas))
        return INCIDENTS_PER_SECOND * armed_seconds * per_second / (1.1 * self.rate)

    def log_bets(self, episodes: Floats, exposure: Floats) -> Floats:
        """L; shape (omegas, onsets).

        Args:
            episodes, exposure: K_c and N_c of each onset.
        """
        base, allowed = PRIOR_ARRIVALS + self.arrivals, self.allowed_ratio * exposure
        grown = np.log((base + OMEGAS * allowed) / (base + allowed))
        total = PRIOR_EPISODES + self.episodes + episodes
        bets: Floats = (episodes * np.log(OMEGAS) - total * grown) / self.divisor
        return bets

    def most(self, episodes: int, exposure: float) -> float:
        """1/(2p), p of the exact test on the same counts: evidence never says more than that.

        The prior takes the baseline for nearly free of errors until it was seen for minutes. Where every
        tenth request of both arms fails and there is no history, that alone rolled back good canaries.
        """
        if episodes <= 0:
            return math.inf
        arrivals = max(episodes, round(exposure))
        p_value = fisher_p(episodes, arrivals, self.episodes, self.requests, self.allowed_ratio)
        return 0.5 / max(p_value, 1e-300)

    def episodes_for(self, log_bet: float, exposure: float) -> int:
        """How many of the canary's episodes take L of the larger omega to `log_bet`."""
        omega, base = float(OMEGAS[-1, 0]), PRIOR_ARRIVALS + self.arrivals
        allowed = self.allowed_ratio * exposure
        grown = math.log((base + omega * allowed) / (base + allowed))
        wanted = log_bet * self.divisor + (PRIOR_EPISODES + self.episodes) * grown
        return max(1, math.ceil(wanted / (math.log(omega) - grown)))

    def smallest_ratio_found(
        self, log_bet: float, exposure: float, arrivals: int, power: float
    ) -> float | None:
        """The error ratio, to 0.1 points, that reaches `log_bet` of so many arrivals with this power."""
        needed = self.episodes_for(log_bet, exposure)
        if needed > arrivals:
            return None
        found = bisect_left(range(1000), power, key=lambda p: binomial_upper_tail(needed, arrivals, p / 1000))
        return found / 1000

    def explains(self, episodes: int, arrivals: float) -> bool:
        """Twice an upper estimate of the baseline's ratio makes so many episodes unsurprising (p > .01)."""
        rate, total = min(1.0, 2 * self.rate_above(1.0)), max(round(arrivals), episodes)
        return episodes == 0 or binomial_upper_tail(episodes, total, rate) > SILENT_P
