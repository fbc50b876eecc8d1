"""Does the canary lose items that the baseline passes? A sequential e-value on paired items (DESIGN 5.5).

E = mean over lambda of prod(1 + lambda (d - 0.02)), d = baseline pass - canary pass: a bet against "the
canary loses at most 2 points", with four stakes. Refuses to decide.
"""

from collections.abc import Sequence

from guard.core.comparison import PairedItem

ALLOWED_DROP = 0.02
STAKES = (0.1, 0.25, 0.5, 0.8)


class QualityEvidence:
    """Feed pairs in the order in which they were answered."""

    def __init__(self, wealth: Sequence[float] = (1.0,) * len(STAKES)) -> None:
        self.wealth = list(wealth)

    def add(self, pair: PairedItem) -> None:
        d = int(pair.baseline_pass) - int(pair.canary_pass)
        factors = (1 + stake * (d - ALLOWED_DROP) for stake in STAKES)
        self.wealth = [min(w * f, 1e300) for w, f in zip(self.wealth, factors, strict=True)]

    def evidence(self) -> float:
        return sum(self.wealth) / len(STAKES)
