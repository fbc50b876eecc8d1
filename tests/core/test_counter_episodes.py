import json

import pytest

from guard.core.counter_episodes import CounterEpisodes, Observed
from guard.core.samples import Arm


def _seen(at, requests, bad, arm=Arm.CANARY, replica="svc"):
    return Observed(at, arm, replica, requests, bad)


@pytest.mark.parametrize(
    ("requests", "bad", "armed", "episodes"),
    [
        pytest.param(10, 0, 10, 0, id="good ones count whole"),
        pytest.param(9, 1, 5, 1, id="one error: at the expected place, the middle"),
        pytest.param(10, 10, 1, 1, id="all bad: the first one"),
        pytest.param(4, 9, 1, 1, id="more bad than requests: all of them"),
        pytest.param(4, -1, 4, 0, id="a counter that fell"),
    ],
)
def test_a_block_with_errors_is_one_episode_after_its_expected_first_error(requests, bad, armed, episodes):
    found = CounterEpisodes().count([_seen(2.0, requests, bad)], 10.0).canary
    assert (found.arrivals, found.episodes, found.raw_arrivals) == (armed, episodes, requests)


def test_blocks_that_end_while_the_replica_is_dead_are_ignored():
    counters = CounterEpisodes()
    found = counters.count(
        [_seen(2.0, 4, 4), _seen(4.0, 4, 4), _seen(6.9, 4, 0), _seen(8.0, 4, 0)], 10.0
    ).canary
    assert (found.arrivals, found.episodes, found.raw_errors) == (5, 1, 8)


def test_the_arms_and_replicas_of_one_name_are_apart():
    rows = [_seen(2.0, 1, 1), _seen(3.0, 1, 1, Arm.BASELINE), _seen(3.0, 1, 1, replica="other")]
    both = CounterEpisodes().count(rows, 10.0)
    assert (both.baseline.episodes, both.canary.episodes, both.canary.replicas) == (1, 2, 2)


def test_order_within_a_bin_changes_nothing():
    rows = [_seen(2.0, 4, 1), _seen(2.0, 5, 0), _seen(8.0, 3, 1), _seen(1.0, 3, 0, Arm.BASELINE)]
    assert CounterEpisodes().count(rows, 10.0) == CounterEpisodes().count(rows[::-1], 10.0)


def test_resumed_counters_count_the_same():
    first = CounterEpisodes()
    first.count([_seen(8.0, 4, 4), _seen(8.0, 4, 4, Arm.BASELINE)], 10.0)
    second = CounterEpisodes.from_state(json.loads(json.dumps(first.state())))
    rows = [_seen(12.0, 4, 4), _seen(15.0, 4, 1)]
    assert first.count(rows, 20.0) == second.count(rows, 20.0)
    assert [a.tolist() for a in first.take_block()] == [a.tolist() for a in second.take_block()] == [[1], [1]]
