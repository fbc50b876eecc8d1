import json

import numpy as np
import pytest

from guard.core.recent_results import RecentResults, Tally
from guard.core.samples import Arm


def _filled(*rows):
    """(at, canary, requests, bad, client errors)"""
    results = RecentResults()
    _add(results, *rows)
    return results


def _add(results, *rows):
    columns = np.array(rows, float)
    results.add(columns[:, 0], columns[:, 1] > 0, columns[:, 2:].astype(np.int64))


def test_arms_are_summed_apart():
    results = _filled((1.2, 1, 1, 1, 0), (1.7, 1, 3, 0, 2), (1.9, 0, 1, 0, 0))
    assert results.tally(Arm.CANARY) == Tally(4, 1, 2)
    assert results.tally(Arm.BASELINE) == Tally(1, 0, 0)
    assert Tally(4, 1, 2).all_bad == 3


@pytest.mark.parametrize(
    ("since", "until", "requests"),
    [(0, 9, 3), (2, 9, 2), (2, 4, 1), (4.5, 9, 0), (-5, 0, 0)],
)
def test_a_window_is_of_whole_seconds_within_it(since, until, requests):
    assert (
        _filled((1.5, 1, 1, 0, 0), (2.5, 1, 1, 0, 0), (4.0, 1, 1, 0, 0))
        .tally(Arm.CANARY, since, until)
        .requests
        == requests
    )


def test_results_in_any_order_and_in_parts_sum_to_the_same():
    rows = [(at, at % 2 > 1, 1, at < 5, 0) for at in (7.1, 2.2, 2.9, 3.0, 8.8, 2.2)]
    parts = _filled(*rows[:2])
    _add(parts, *rows[2:])
    assert parts.state() == _filled(*rows[::-1]).state()


def test_memory_is_five_minutes_and_does_not_grow_with_requests():
    results = RecentResults()
    at = np.random.default_rng(1).uniform(0, 3600, 20000)
    results.add(at, at > 0, np.ones((len(at), 3), np.int64))
    results.forget(3600.0)
    assert len(results.state()["seconds"]) <= 300
    assert results.tally(Arm.CANARY).requests == (at >= 3300).sum()


def test_a_moment_far_off_is_no_error():
    results = _filled((1e300, 1, 1, 0, 0), (-1e300, 1, 1, 0, 0))
    results.forget(100.0)
    assert results.tally(Arm.CANARY, 0.0, 200.0) == Tally()


def test_resumed_results_are_the_same():
    results = _filled((1.2, 1, 1, 1, 0), (5.7, 0, 3, 0, 2))
    resumed = RecentResults.from_state(json.loads(json.dumps(results.state())))
    assert resumed.state() == results.state()
    assert resumed.tally(Arm.BASELINE, 5, 6) == Tally(3, 0, 2)
    assert RecentResults.from_state(RecentResults().state()).tally(Arm.CANARY) == Tally()
