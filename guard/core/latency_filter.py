"""Is a difference of two arms, seen bin by bin, a step up, or what machines and slow noise do anyway?

Owns DECISION's steps 4 and 6. The difference d of the arms' mean ln X, without harm, is: a lasting difference
of the replicas + slow noise (Ornstein-Uhlenbeck, 120 s) + the requests' own noise of known variance. A Kalman
filter follows the two slow parts and bets on each innovation that a fault has begun. A fault would itself be
followed by the filter after a while, so each onset carries the filter's response to a unit step along: it
bets on what of the step the filter cannot yet have absorbed.

Refuses to know where d came from; a bin may have several observations of it, one after the other. What grows
slower than the noise wanders is absorbed and never found. The e-value is exact for the model alone.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.onset_mixture import OnsetMixture

EFFECTS = np.array([0.12, 0.25, 0.45, 0.9])  # of ln X
FIRST_ONSET = 0.5
PHI = math.exp(-10 / 120)  # a bin's memory of the slow noise
CLIP_SD = 3.0
_HALF_SQUARES = EFFECTS**2 / 2


class DifferenceFilter:
    """For each bin: `open_bin`, any number of `observe`, `end_bin`."""

    def __init__(self, planned_bins: int) -> None:
        self.mixture = OnsetMixture(FIRST_ONSET, planned_bins, EFFECTS.size)
        self._machine, self._wander = 0.0, 0.0  # a, u
        self._p: tuple[float, float, float] | None = None  # P00, P01, P11
        self._responses = np.zeros((2, self.mixture.planned_bins))  # alpha, upsilon of each onset

    @property
    def begun(self) -> bool:
        return self._p is not None

    @property
    def slow_variance(self) -> float:
        """Of a + u as the filter stands."""
        return self._p[0] + 2 * self._p[1] + self._p[2] if self._p else 0.0

    def widen(self, machine_variance: float, wander_variance: float) -> None:
        """At the beginning both variances of d; later what replicas that came or went add to them."""
        p00, p01, p11 = self._p or (0.0, 0.0, 0.0)
        self._p = p00 + machine_variance, p01, p11 + wander_variance

    def open_bin(self) -> None:
        self.mixture.open()

    def observe(self, d: float, variance: float, inflation: float) -> float | None:
        """One observation of d, with the variance of its own noise; V = inflation x F.

        Returns:
            e^2 / F, about 1 where the model holds; None when d is so low that it was left out.
        """
        p00, p01, p11 = self._p or (0.0, 0.0, 0.0)
        f = p00 + 2 * p01 + p11 + variance
        v = inflation * f
        e, reach = d - self._machine - self._wander, CLIP_SD * math.sqrt(v)
        if e < -reach:
            return None
        e = min(e, reach)
        g0, g1 = (p00 + p01) / f, (p01 + p11) / f
        self._bet(e, v, g0, g1)
        self._machine += g0 * e
        self._wander += g1 * e
        self._p = p00 - g0 * g0 * f, p01 - g0 * g1 * f, p11 - g1 * g1 * f
        return e * e / f

    def _bet(self, e: float, v: float, g0: float, g1: float) -> None:
        alpha, upsilon = self._responses[:, : self.mixture.opened]
        x = 1 - alpha - upsilon
        self.mixture.add(
            np.multiply.outer(EFFECTS, x * (e / v)) - np.multiply.outer(_HALF_SQUARES, x * x / v)
        )
        alpha += g0 * x
        upsilon += g1 * x

    def end_bin(self, wander_variance: float) -> None:
        """Time passes: the slow noise forgets, seen or not."""
        self._wander *= PHI
        self._responses[1] *= PHI
        if self._p:
            p00, p01, p11 = self._p
            self._p = p00, PHI * p01, PHI**2 * p11 + wander_variance * (1 - PHI**2)

    def state(self) -> dict[str, Any]:
        return {
            "mixture": self.mixture.state(),
            "machine": self._machine,
            "wander": self._wander,
            "p": list(self._p) if self._p else None,
            "responses": self._responses[:, : self.mixture.opened].tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        mixture = OnsetMixture.from_state(state["mixture"])
        self = cls(mixture.planned_bins)
        self.mixture = mixture
        self._machine, self._wander = state["machine"], state["wander"]
        self._p = (state["p"][0], state["p"][1], state["p"][2]) if state["p"] else None
        self._responses[:, : mixture.opened] = np.array(state["responses"], float).reshape(2, -1)
        return self
