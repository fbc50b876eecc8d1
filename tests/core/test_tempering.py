import json

import numpy as np
import pytest

from guard.core.tempering import Tempering

LENGTHS = np.array([1.0, 2, 4, 8, 16, 32])


def _fed(scores):
    """Scores of shape (blocks, replicas), as one score."""
    tempering = Tempering(1)
    for block in scores:
        tempering.add(np.arange(block.size), (block - block.mean())[None, :])
    return tempering


def _noise(blocks, replicas, phi=0.0, seed=5):
    """Autoregressive noise of variance 1."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=replicas)]
    for _ in range(blocks - 1):
        rows.append(phi * rows[-1] + np.sqrt(1 - phi**2) * rng.normal(size=replicas))
    return np.array(rows)


def test_nothing_seen_gives_the_prior():
    assert Tempering(2).ratios() == pytest.approx(np.full((6, 2), 1.1))


def test_independent_blocks_are_hardly_tempered():
    assert _fed(_noise(320, 20)).divisors(LENGTHS)[0].max() < 1.25


def test_lasting_noise_is_tempered_as_its_variance_ratio_says():
    phi = 0.7
    expected = [1 + 2 * sum((1 - j / h) * phi**j for j in range(1, h)) for h in (1, 2, 4, 8)]
    measured = _fed(_noise(4000, 20, phi)).divisors(LENGTHS)[0]
    assert measured[:4] == pytest.approx(expected, rel=0.06)


def test_replicas_that_stay_what_they_are_are_tempered_by_the_length_itself():
    fixed = np.tile(np.random.default_rng(1).normal(size=20), (3200, 1))
    assert _fed(fixed).divisors(LENGTHS)[0] == pytest.approx(LENGTHS, rel=0.25)


def test_divisor_never_falls_with_length_nor_below_1():
    zigzag = np.array([[1.0, -1, 2, -2], [-1.0, 1, -2, 2]] * 200)  # sums of two vanish
    divisors = _fed(zigzag).divisors(np.arange(1.0, 64))[0]
    assert divisors[0] >= 1
    assert (np.diff(divisors) >= 0).all()


def test_few_observations_stay_near_the_prior():
    fixed = np.tile([1.0, -1.0], (2, 1))
    assert _fed(fixed).ratios()[1, 0] == pytest.approx((2 * 2 + 30 * 1.1) / 32)


def test_beyond_32_blocks_it_stays():
    tempering = _fed(_noise(640, 10, 0.9))
    d32, d500 = tempering.divisors(np.array([32.0, 500.0]))[0]
    assert d32 == d500


def test_all_equal_scores_and_empty_blocks_teach_nothing():
    tempering = _fed(np.zeros((100, 5)))
    tempering.add(np.array([], np.int32), np.zeros((1, 0)))
    assert tempering.ratios() == pytest.approx(np.full((6, 1), 1.1))


def test_new_and_vanished_replicas_are_taken_as_average():
    tempering = _fed(_noise(50, 4))
    tempering.add(np.array([9], np.int32), np.array([[0.5]]))
    tempering.add(np.array([1, 2], np.int32), np.array([[0.5, -0.5]]))
    assert np.isfinite(tempering.ratios()).all()


def test_scores_are_measured_apart():
    tempering, fixed, free = Tempering(2), np.tile([1.0, -1.0], (512, 1)), _noise(512, 2)
    for a, b in zip(fixed, free, strict=True):
        tempering.add(np.arange(2), np.stack([a, b - b.mean()]))
    assert tempering.ratios()[4, 0] > 3 * tempering.ratios()[4, 1]


def test_resume_equals_no_interruption():
    noise = _noise(100, 6, 0.5)
    straight, first = _fed(noise), _fed(noise[:37])
    resumed = Tempering.from_state(json.loads(json.dumps(first.state())))
    for block in noise[37:]:
        resumed.add(np.arange(6), (block - block.mean())[None, :])
    assert resumed.state() == straight.state()
    assert Tempering.from_state(Tempering(3).state()).state() == Tempering(3).state()
