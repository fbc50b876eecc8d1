"""Queues and batches by hand."""

import numpy as np
import pytest

from benchmarks.decisions.noise import GRID_SECONDS, at_times, autoregression, wander
from benchmarks.decisions.service import _in_flight, _queue_seconds


@pytest.mark.parametrize(
    ("arrives", "work", "waits"),
    [
        ([0, 10, 20], [1, 1, 1], [0, 0, 0]),
        ([0, 1, 2], [3, 3, 3], [0, 2, 4]),
        ([0, 1, 9, 9.5], [3, 3, 1, 1], [0, 2, 0, 0.5]),
        ([], [], []),
    ],
    ids=["nobody waits", "each waits for those before", "an idle hour clears the queue", "none"],
)
def test_prefill_serves_one_after_the_other(
    arrives: list[float], work: list[float], waits: list[float]
) -> None:
    found = _queue_seconds(np.array(arrives, np.float64), np.array(work, np.float64))
    assert found == pytest.approx(waits)


def test_in_flight_counts_who_came_before_and_is_still_there() -> None:
    sent_at, seconds = np.array([0.0, 1.0, 2.0, 6.0]), np.array([5.0, 9.0, 1.0, 1.0])
    absent = np.array([False, False, True, False])
    found = _in_flight([np.arange(4)], sent_at, seconds, absent)
    assert found.tolist() == [0, 1, 2, 1]  # the refused one puts no load on the replica


def test_replicas_do_not_wait_for_each_other() -> None:
    sent_at, seconds = np.array([0.0, 1.0, 2.0]), np.full(3, 10.0)
    groups = [np.array([0, 2]), np.array([1])]
    assert _in_flight(groups, sent_at, seconds, np.zeros(3, np.bool_)).tolist() == [0, 0, 1]


def test_an_autoregression_is_stationary_with_the_correlation_asked_for() -> None:
    values = autoregression(np.random.default_rng(1), 400, 60, 10.0)
    assert values[:, 0].std() == pytest.approx(1.0, abs=0.1)
    assert values[:, -1].std() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(values[:, 20], values[:, 30])[0, 1] == pytest.approx(np.exp(-1), abs=0.12)


def test_quiet_replicas_wander_by_six_percent_and_noisy_ones_twice_as_much() -> None:
    quiet = wander(np.random.default_rng(1), 200, 2400.0, 1.0)
    noisy = wander(np.random.default_rng(1), 200, 2400.0, 2.0)
    assert 0.055 < quiet.std() < 0.09
    assert noisy.std() == pytest.approx(2 * quiet.std())


def test_noise_between_two_points_of_the_grid_is_between_their_values() -> None:
    grid = np.array([[0.0, 1.0, 3.0]])
    at = np.array([0.0, 0.5, 1.5]) * GRID_SECONDS
    assert at_times(grid, np.zeros(3, np.int64), at).tolist() == [0.0, 0.5, 2.0]
