"""Proof that a canary is not slower than the baseline by the margin, in a fleet of few replicas.

Owns the test martingale against H0 "the lasting log-ratio of the arms is ln(margin) or more", on the same
difference d of a bin as the evidence of harm (`latency_filter`). Under the least harmful case of H0, d - ln
margin is a lasting difference of replicas + slow noise + the requests' own noise, which a Kalman filter
follows; its innovations e are independent with variance F. A truly lower ratio, by delta, would show in e as
-delta x, x the filter's response to a step. The likelihood ratio prod exp((-delta x e - delta^2 x^2 / 2) / V)
has mean at most 1 under H0: e of a still slower canary has mean >= 0, which only takes from it, and V >= F.

What would speak for the canary by accident is cut, what speaks against it never is: an innovation below
-3 sd counts as -3 sd, one above counts in full. (The evidence of harm does the opposite.)

One onset only, the beginning of the step: the proof is for the whole step. It is exact for the model alone;
replicas that differ for good by more than its 3 % prior says are proof of nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

PROOF_MARGIN = 1.25  # DESIGN 5.7
LOWER = (math.log(1.25), math.log(1.25 / 1.10))  # delta: as good as the baseline, and 10 % slower than it
PHI = math.exp(-10 / 120)
CLIP_SD = 3.0
_MOST = 700.0


@dataclass
class _Filter:
    machine: float = 0.0
    wander: float = 0.0
    p00: float = 0.0
    p01: float = 0.0
    p11: float = 0.0
    machine_response: float = 0.0  # alpha
    wander_response: float = 0.0  # upsilon
    information: float = 0.0  # sum of x^2 / V
    shift: float = 0.0  # sum of x e / V


class DifferenceProof:
    """For each bin: any number of `observe`, then `end_bin`."""

    def __init__(self) -> None:
        self._f = _Filter()

    def start_step(self, machine_variance: float, wander_variance: float) -> None:
        """Starts again: what the canary did at another weight proves nothing of this one.

        Args:
            machine_variance, wander_variance: Of d: sigma_a^2 kappa and sigma_u^2 kappa.
        """
        self._f = _Filter(p00=machine_variance, p11=wander_variance)

    def observe(self, log_ratio: float, variance: float, inflation: float) -> None:
        """One observation of the arms' difference of mean ln X, without any margin taken off.

        Args:
            variance: Of its own noise; above 0.
            inflation: V / F, at least 1.
        """
        f = self._f
        own = f.p00 + 2 * f.p01 + f.p11 + variance
        v = max(1.0, inflation) * own
        e = log_ratio - math.log(PROOF_MARGIN) - f.machine - f.wander
        e = max(e, -CLIP_SD * math.sqrt(v))
        x = 1 - f.machine_response - f.wander_response
        f.information += x * x / v
        f.shift += x * e / v
        self._follow(e, x, own)

    def _follow(self, e: float, x: float, own: float) -> None:
        f = self._f
        g0, g1 = (f.p00 + f.p01) / own, (f.p01 + f.p11) / own
        f.machine, f.wander = f.machine + g0 * e, f.wander + g1 * e
        f.machine_response, f.wander_response = f.machine_response + g0 * x, f.wander_response + g1 * x
        f.p00, f.p01, f.p11 = f.p00 - g0 * g0 * own, f.p01 - g0 * g1 * own, f.p11 - g1 * g1 * own

    def end_bin(self, wander_variance: float) -> None:
        """Time passes: the slow noise forgets, seen or not."""
        f = self._f
        f.wander *= PHI
        f.wander_response *= PHI
        f.p01 *= PHI
        f.p11 = PHI**2 * f.p11 + wander_variance * (1 - PHI**2)

    @property
    def information(self) -> float:
        """How well an effect of 1 in ln X would be seen by now: x^2 / V, summed; for `power`."""
        return self._f.information

    def evidence(self) -> float:
        """The e-value against H0; 1 before the first observation."""
        logs = (-delta * self._f.shift - delta**2 / 2 * self._f.information for delta in LOWER)
        return sum(math.exp(min(_MOST, log)) for log in logs) / len(LOWER)

    def state(self) -> dict[str, Any]:
        return asdict(self._f)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._f = _Filter(**state)
        return self
