"""What makes replicas of one build differ, constantly and over time, as log factors of latency.

Owns the noise. It is not what DECISION's model of latency assumes (one static difference, one
Ornstein-Uhlenbeck process of 120 s, normal): here three time scales mix, replicas jump and recover, and
single values have log-t tails.
"""

import numpy as np

from benchmarks.decisions.rollout import Floats, Ints

GRID_SECONDS = 5.0
SCALES_SECONDS = (8.0, 60.0, 600.0)
SPREADS = (0.03, 0.04, 0.03)  # of log TTFT at each scale; arbitrary, .058 together
JUMP_EVERY_SECONDS = 1500.0  # mean, per replica
JUMP_SPREAD, JUMP_SECONDS = 0.04, 240.0  # scale of a t-distributed jump (3 degrees), and how long it lasts
STATIC_SCALE = 0.022  # of a t-distributed difference (5 degrees): .028 is its standard deviation


def autoregression(rng: np.random.Generator, series: int, length: int, steps: float) -> Floats:
    """Rows of a stationary first-order autoregression: sd 1, correlation 1/e after so many steps."""
    keep = float(np.exp(-1.0 / steps))
    shocks = rng.standard_normal((length, series))
    shocks[1:] *= np.sqrt(1 - keep**2)
    values = np.empty_like(shocks)
    value = np.zeros(series)
    for index in range(length):
        value = keep * value + shocks[index]
        values[index] = value
    return values.T


def wander(rng: np.random.Generator, series: int, seconds: float, scale: float) -> Floats:
    """Log factors, a row a replica, on the grid: mixed time scales and jumps.

    Args:
        scale: 1 for quiet replicas.
    """
    length = int(seconds / GRID_SECONDS) + 1
    total = np.zeros((series, length))
    for spread, tau in zip(SPREADS, SCALES_SECONDS, strict=True):
        total += spread * autoregression(rng, series, length, tau / GRID_SECONDS)
    jumps = rng.poisson(seconds / JUMP_EVERY_SECONDS, series)
    for row in np.repeat(np.arange(series), jumps):
        at = int(rng.integers(length))
        size = JUMP_SPREAD * rng.standard_t(3)
        fading = np.exp(-np.arange(length - at) * GRID_SECONDS / rng.exponential(JUMP_SECONDS))
        total[row, at:] += np.clip(size, -0.3, 0.3) * fading
    return scale * total


def static(rng: np.random.Generator, series: int) -> Floats:
    """Log factors that last: binning of silicon, a neighbour, a rack."""
    drawn: Floats = np.clip(STATIC_SCALE * rng.standard_t(5, series), -0.15, 0.15)
    return drawn


def at_times(grid: Floats, row: Ints, since_start: Floats) -> Floats:
    """Values of the grid's rows at moments, linear between its points."""
    place = np.clip(since_start / GRID_SECONDS, 0, grid.shape[1] - 1.001)
    left = place.astype(np.int64)
    part = place - left
    values: Floats = (1 - part) * grid[row, left] + part * grid[row, left + 1]
    return values
