"""Values that a histogram block may have been of."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core.histogram_blocks import HistogramBlock
from guard.core.histogram_values import MOST_VALUES, log_values
from guard.core.samples import Arm, Source

EDGES = (0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0)  # of vLLM's TTFT


def _block(values, total=None):
    counts = np.bincount(np.searchsorted(EDGES, values), minlength=len(EDGES) + 1).tolist()
    total = sum(values) if total is None else total
    return HistogramBlock(Source.USER, Arm.CANARY, "c", "ttft", 0.0, 10.0, EDGES, tuple(counts), total)


@pytest.mark.parametrize("seconds", [0.01, 0.1001, 0.26, 0.49, 0.99, 2.4, 9.0])
def test_one_value_alone_comes_back(seconds):
    assert np.exp(log_values(_block([seconds]))) == pytest.approx([seconds], rel=1e-3)


def test_what_shares_a_bucket_is_told_apart_by_the_sum():
    """The known-bad case of buckets alone: 0.26 and 0.49 s count alike."""
    fast, slow = (log_values(_block([seconds] * 10)).mean() for seconds in (0.27, 0.48))
    assert slow - fast == pytest.approx(math.log(0.48 / 0.27), rel=0.15)


def test_a_smooth_distribution_is_nearly_left_as_it_is():
    values = np.random.default_rng(3).lognormal(math.log(0.4), 0.6, 2000)
    found = log_values(_block(values.tolist()))
    assert len(found) == MOST_VALUES
    assert found.mean() == pytest.approx(np.log(values).mean(), abs=0.03)
    assert found.std() == pytest.approx(np.log(values).std(), abs=0.05)


def test_few_values_are_not_biased_against_many():
    """ln(sum / count) of 2 values lies 0.08 below that of 200: a canary asked less would look faster."""
    rng = np.random.default_rng(4)

    def means(n, blocks, of):
        return np.mean([of(_block(rng.lognormal(math.log(0.4), 0.6, n).tolist())) for _ in range(blocks)])

    rejected = means(200, 60, lambda b: math.log(b.mean)) - means(2, 3000, lambda b: math.log(b.mean))
    assert rejected > 0.05
    assert abs(means(200, 60, _mean_ln) - means(2, 3000, _mean_ln)) < 0.03


def _mean_ln(block):
    return log_values(block).mean()


def test_fewer_values_than_were_counted_keep_the_mean():
    block = _block(np.random.default_rng(5).lognormal(math.log(0.4), 0.6, 240).tolist())
    everything = log_values(block)
    for n in (1, 2, 7, 100):
        few = log_values(block, n)
        assert len(few) == n
        assert few.mean() == pytest.approx(everything.mean(), abs=0.02)


values = st.lists(st.floats(0.003, 49.0), min_size=1, max_size=40)


@given(values)
def test_values_lie_in_their_buckets_and_have_the_exact_mean(seconds):
    block = _block(seconds)
    found = np.exp(log_values(block))
    bucket = np.searchsorted(EDGES, np.sort(seconds))
    assert (found >= np.array([0.002, *EDGES])[bucket] * (1 - 1e-9)).all()
    assert (found <= np.array([*EDGES, 50.0])[bucket] * (1 + 1e-9)).all()
    assert found.mean() == pytest.approx(block.mean, rel=0.05)


@given(values, st.floats(1.0, 3.0))
def test_a_larger_sum_never_looks_faster(seconds, factor):
    block = _block(seconds)
    slower = _block(seconds, sum(seconds) * factor)
    assert log_values(slower).mean() >= log_values(block).mean() - 1e-9


@pytest.mark.parametrize("total", [0.0, 1e9])
def test_a_sum_that_no_values_in_the_buckets_have_stays_within_them(total):
    found = np.exp(log_values(_block([0.3] * 5, total)))
    assert (found >= 0.25 * (1 - 1e-9)).all()
    assert (found <= 0.5 * (1 + 1e-9)).all()


def test_quantiles_that_fall_on_an_edge_of_two_buckets_are_values():
    """512 values in 256 quantiles: each rank is a whole number, where one bucket ends and the next begins."""
    found = log_values(_block([0.3] * 257 + [0.6] * 255))
    assert np.isfinite(found).all()
    assert np.exp(found).mean() == pytest.approx((0.3 * 257 + 0.6 * 255) / 512, rel=1e-3)
