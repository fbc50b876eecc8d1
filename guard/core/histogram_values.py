"""A histogram block as the values it may have been of: one way to spread them that fits all that is known.

Owns that spread. Within its bucket the density of ln x goes from what the bucket shares with its lower
neighbour to what it shares with its upper one; then all values are bent by one exponent until their mean is
the block's exact mean. So one value alone comes back exactly, a smooth distribution is nearly left as it is,
and a shift that crosses no edge is still seen, by the sum. Both arms are spread alike, by counts and sum
alone: what the spread gets wrong is the same for like blocks of either arm. Between a block of one value and
one of many the mean of ln x is off by 0.03 at most (log-normal values on vLLM's edges, medians 0.07 to 1.2 s,
sd of ln x 0.3 to 1); of ln(sum / count) it is off by 0.04 to 0.5, by which a canary asked less often looks
faster: rejected. Rejected, too: ranks of buckets alone, to which 0.26 and 0.49 s are the same.
"""

import math

import numpy as np

from guard.core.histogram_blocks import HistogramBlock
from guard.core.observations import Floats

MOST_VALUES = 256  # of one block; of more, as many evenly spaced quantiles stand for all
OUTER_RATIO = 10.0  # arbitrary: how far below the first edge and above the last a value may lie
_STEPS = 30
_EXACT = 1e-6
_MOST_BEND = math.log(64.0)


def log_values(block: HistogramBlock, most: int = MOST_VALUES) -> Floats:
    """ln seconds of at most `most` values, rising, that have the block's mean ln and spread.

    Fewer than were counted are means of neighbours. The mean of exp is the block's exact mean, as far as
    values within their buckets can have it.
    """
    spread = _spread(block)
    n = max(1, min(most, len(spread)))
    if n == len(spread):
        return spread
    edges = np.arange(n + 1) * len(spread) // n
    means: Floats = np.add.reduceat(spread, edges[:-1]) / np.diff(edges)
    return means


def _spread(block: HistogramBlock) -> Floats:
    low, width, place = _places(block)
    return low + width * place ** _bend(low, width, place, block.mean)


def _places(block: HistogramBlock) -> tuple[Floats, Floats, Floats]:
    """Of each value its bucket's lower edge and width, as ln, and its place in it, between 0 and 1."""
    edges = np.log(block.edges)
    outer = math.log(OUTER_RATIO)
    bounds = np.concatenate([edges[:1] - outer, edges, edges[-1:] + outer])
    upto = np.cumsum(block.counts)
    n = min(block.count, MOST_VALUES)
    rank = (np.arange(n) + 0.5) * (block.count / n)
    bucket = np.searchsorted(upto, rank)
    counts = np.asarray(block.counts)
    share = (rank - (upto - counts)[bucket]) / counts[bucket]
    place = _tilted(share, _tilts(counts / np.diff(bounds))[bucket])
    return bounds[bucket], np.diff(bounds)[bucket], place


def _tilts(density: Floats) -> Floats:
    """How each bucket's density rises (towards 1) or falls (towards -1), as its neighbours' let expect."""
    padded = np.concatenate([[0.0], density, [0.0]])
    left, right = padded[:-2] + density, density + padded[2:]
    tilts: Floats = (right - left) / np.maximum(right + left, 1e-300)
    return tilts


def _tilted(share: Floats, tilt: Floats) -> Floats:
    """Where a share of the bucket lies below, for a density that goes from 1 - tilt to 1 + tilt."""
    places: Floats = 2 * share / (1 - tilt + np.sqrt((1 - tilt) ** 2 + 4 * tilt * share))
    return places


def _bend(low: Floats, width: Floats, place: Floats, mean: float) -> float:
    """The exponent with which the values have that mean; at its bounds where none has.

    Newton's method on ln of the exponent, within a bracket that halves where a step leaves it.
    """
    logs = np.log(place)
    left, right, at = -_MOST_BEND, _MOST_BEND, 0.0
    for _ in range(_STEPS):
        up = width * np.exp(math.exp(at) * logs)
        values = np.exp(low + up)
        found = float(values.sum()) / values.size
        if abs(found - mean) <= _EXACT * mean:
            break
        left, right = (at, right) if found > mean else (left, at)
        slope = math.exp(at) * float(values @ (up * logs)) / values.size
        step = at - (found - mean) / slope if slope < 0 else math.inf
        at = step if left < step < right else (left + right) / 2
    return math.exp(at)
