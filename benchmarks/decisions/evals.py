"""Paired online eval items: users' requests that both arms answered, graded.

Owns pass rates. Items differ in difficulty, and come in stretches of one topic, so neighbours agree.
"""

import numpy as np

from benchmarks.decisions.noise import autoregression
from benchmarks.decisions.rollout import Evals

TOPIC_ITEMS = 8.0  # items until the topic has changed
TOPIC_SPREAD, ITEM_SPREAD = 0.5, 1.6  # of difficulty, as logit
MEAN_LOGIT = 1.6  # about three of four pass


def evals(rng: np.random.Generator, count: int, end_seconds: float, lost_points: float) -> Evals:
    """`count` items over the rollout; the canary loses so many points of what it would have passed."""
    answered_at = np.sort(rng.uniform(0, end_seconds, count))
    topic = autoregression(rng, 1, count, TOPIC_ITEMS)[0] if count else np.zeros(0)
    logit = MEAN_LOGIT + TOPIC_SPREAD * topic + ITEM_SPREAD * rng.standard_normal(count)
    chance = 1 / (1 + np.exp(-logit))
    baseline, canary = rng.random(count) < chance, rng.random(count) < chance
    rate = float(chance.mean()) if count else 1.0
    canary &= rng.random(count) >= lost_points / rate
    return Evals(answered_at, baseline, canary)
