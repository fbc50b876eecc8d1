"""Proof that the canary does not lose 7 points of the items that the baseline passes.

Owns the test martingale against H0 "the mean of d is .07 or more", d = baseline pass - canary pass of one
item answered by both (DESIGN 5.7): E = mean over stakes of prod(1 + stake (.07 - d)), exact for items whose
expected d, given those before, is .07 or more. The mirror image of `quality_evidence`. Refuses to decide.
"""

from collections.abc import Sequence

DROP_MARGIN = 0.07
STAKES = (0.1, 0.25, 0.5, 0.8)


class QualityProof:
    """Feed pairs in the order in which they were answered."""

    def __init__(self, wealth: Sequence[float] = (1.0,) * len(STAKES)) -> None:
        self.wealth = list(wealth)

    def add(self, baseline_pass: bool, canary_pass: bool) -> None:
        d = int(baseline_pass) - int(canary_pass)
        factors = (1 + stake * (DROP_MARGIN - d) for stake in STAKES)
        self.wealth = [min(w * f, 1e300) for w, f in zip(self.wealth, factors, strict=True)]

    def evidence(self) -> float:
        return sum(self.wealth) / len(STAKES)
