"""What is usual for a request's latency: the baseline's scale, its dependence on load, and its variances.

Owns the order in which the past is used: a bin is read with what earlier bins taught, and teaches afterwards.
Refuses to see the canary.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.bin_buffer import BIN_SECONDS
from guard.core.latency_scale import LatencyScale
from guard.core.latency_variances import BlockVariances, Level, WithinVariance, sd_of_bin
from guard.core.load_slope import LoadSlope
from guard.core.observations import Codes, Floats

SCORE_CLIP = 3.0


class LatencyBaseline:
    """For each bin: `slope.correction` and `scores`, then `learn_variances` and `learn`, then `end_bin`."""

    def __init__(self, least_reach: float) -> None:
        self._least_reach = least_reach
        self._scale, self.slope = LatencyScale(), LoadSlope()
        self._within, self._level, self._blocks = WithinVariance(), Level(), BlockVariances()
        self._mu_sigma: tuple[float, float] | None = None

    @property
    def known(self) -> bool:
        """Whether enough was seen to score anything."""
        return self._scale.known

    def _read(self) -> tuple[float, float]:
        if self._mu_sigma is None:
            self._mu_sigma = self._scale.mu_sigma()
        return self._mu_sigma

    @property
    def sigma(self) -> float:
        """Spread of ln X; nan while not `known`."""
        return self._read()[1]

    @property
    def own_variance(self) -> float:
        """Of one request's score about its replica's level, as ln X: sigma^2 s^2; 0 while not `known`."""
        return self.sigma**2 * self._within.value if self.known else 0.0

    def scores(self, adjusted: Floats, log_margin: float = 0.0) -> Floats:
        """z, within 3 of 0, or as far as ln X is within `least_reach` of mu; wants `known`.

        Args:
            adjusted: ln X at the baseline's mean load.
            log_margin: ln m, for the canary.
        """
        mu, sigma = self._read()
        z: Floats = (adjusted - (log_margin + mu)) / sigma
        reach = max(SCORE_CLIP, self._least_reach / sigma)
        return np.minimum(np.maximum(z, -reach), reach)

    def off_level(self, mean_score: float, n: int, replicas: int, wander: float) -> float:
        """By how much ln X of n baseline requests lies outside of where it usually is, on either side."""
        mu, sigma = self._read()
        return self._level.excess(mu + sigma * mean_score, sd_of_bin(wander, replicas, self.own_variance, n))

    def wander(self, prior: float) -> float:
        """sigma_u^2: a replica's slow noise."""
        return self._blocks.wander(prior)

    def machines(self, prior: float) -> float:
        """sigma_a^2: replicas' lasting differences."""
        return self._blocks.machines(prior)

    def learn_variances(self, replica: Codes, z: Floats, replicas: int, wander: float) -> None:
        """One bin's scores of the baseline, at least one."""
        mu, sigma = self._read()
        sd = sd_of_bin(wander, replicas, self.own_variance, z.size)
        self._level.add(mu + sigma * float(z.sum()) / z.size, sd)
        self._blocks.add(replica, mu + sigma * z)
        self._within.add(replica, z)

    def learn(self, replica: Codes, log_seconds: Floats, in_flight: Floats) -> None:
        """One bin's requests of the baseline, as they were seen."""
        self._scale.add(log_seconds)
        self.slope.add(replica, log_seconds, in_flight)

    def end_bin(self, wander_prior: float) -> None:
        self._blocks.end_bin(wander_prior, self.own_variance)
        self._scale.forget(BIN_SECONDS)
        self.slope.forget()
        self._mu_sigma = None

    def state(self) -> dict[str, Any]:
        return {
            "least_reach": self._least_reach,
            "scale": self._scale.state(),
            "slope": self.slope.state(),
            "within": self._within.state(),
            "level": self._level.state(),
            "blocks": self._blocks.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["least_reach"])
        self._scale = LatencyScale.from_state(state["scale"])
        self.slope = LoadSlope.from_state(state["slope"])
        self._within = WithinVariance.from_state(state["within"])
        self._level = Level.from_state(state["level"])
        self._blocks = BlockVariances.from_state(state["blocks"])
        return self
