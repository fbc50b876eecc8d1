"""How much two arms of a few replicas may differ without harm: margins, and the variances of d.

Owns DECISION's constants for fleets of fewer than 8 baseline replicas, and how they depend on the signal, on
the number of replicas. What the baseline has taught replaces priors.

DECISION's wider priors for paired probes are kept where nothing but the pairs is known of the service, and in
the proof of no harm. Where the baseline's own requests have taught what is usual, they would hide a doubled
TTFT for 300 to 400 s; there `pair_drift` widens V as far as the pairs themselves ask for it.
"""

from dataclasses import dataclass, replace
from typing import Literal

from guard.core.latency_baseline import LatencyBaseline

Signal = Literal["ttft", "itl"]
TTFT_MARGIN, ITL_MARGIN, ITL_MARGIN_OF_ONE, HOLD_MARGIN = 1.10, 1.05, 1.15, 1.05
MACHINES, MACHINES_WITH_PAIRS, MACHINES_OF_HOLD = 0.0275**2, 0.03**2, 0.005**2  # sigma_a^2
WANDER, WANDER_WITH_PAIRS = 0.06**2, 0.09**2  # sigma_u^2
# DECISION clips scores at 3 sigma; where a service is regular that hides any harm: at the least sigma, 5 %, a
# threefold latency counted as 1.16 x and was never rolled back. So ln X is seen this far in any case. Less
# for ITL: there .45 made twice as many incidents of one canary replica (7 for 3 of 80) end in a rollback.
TTFT_REACH, ITL_REACH = 0.6, 0.3
V_INFLATION, V_INFLATION_WITH_PAIRS = 1.15, 1.15 * 1.25


@dataclass(frozen=True)
class SmallFleet:
    """Of one step.

    Attributes:
        canary_replicas, baseline_replicas: At least 1; fewer count as 1.
        unknown: Whether pairs of probes speak of a service of which nothing else is known.
    """

    signal: Signal
    canary_replicas: int = 1
    baseline_replicas: int = 1
    unknown: bool = False

    @property
    def margin(self) -> float:
        """The ratio that is still no harm."""
        if self.signal == "ttft":
            return TTFT_MARGIN
        return ITL_MARGIN_OF_ONE if min(self._counts) == 1 else ITL_MARGIN

    @property
    def reach(self) -> float:
        """How far ln X may lie from the baseline's median and be seen, however regular the service is."""
        return TTFT_REACH if self.signal == "ttft" else ITL_REACH

    @property
    def inflation(self) -> float:
        """V / F."""
        return V_INFLATION_WITH_PAIRS if self.unknown else V_INFLATION

    @property
    def kappa(self) -> float:
        """Variance of a difference of two arms' means, in units of one replica's."""
        return sum(1 / k for k in self._counts)

    @property
    def wander_prior(self) -> float:
        return WANDER_WITH_PAIRS if self.unknown else WANDER

    @property
    def _counts(self) -> tuple[int, int]:
        return max(1, self.canary_replicas), max(1, self.baseline_replicas)

    def sized(self, canary_replicas: int, baseline_replicas: int) -> "SmallFleet":
        return replace(self, canary_replicas=canary_replicas, baseline_replicas=baseline_replicas)

    def kappa_since(self, before: "SmallFleet") -> float:
        """What replicas that came or went add: a mean of k', k of them known before, moves by 1/k - 1/k'."""
        return sum(abs(1 / new - 1 / old) for new, old in zip(self._counts, before._counts, strict=True))

    def wander(self, baseline: LatencyBaseline) -> float:
        """sigma_u^2."""
        return baseline.wander(self.wander_prior)

    def machines(self, baseline: LatencyBaseline) -> float:
        """sigma_a^2."""
        return baseline.machines(MACHINES_WITH_PAIRS if self.unknown else MACHINES)

    def hold_machines(self, baseline: LatencyBaseline) -> float:
        """sigma_a^2 where a slower machine, too, is a reason to hold."""
        return baseline.machines(MACHINES_OF_HOLD)
