import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.episodes import Episodes
from guard.core.observations import Marks


def _marks(*rows):
    """(at, canary, replica)"""
    at, canary, replica = zip(*rows, strict=True) if rows else ((), (), ())
    return Marks(np.array(at, float), np.array(canary, np.bool_), np.array(replica, np.int32))


def _canary(*times, replica=1):
    return [(at, True, replica) for at in times]


def _count(arrivals, failures, begin=0.0, end=10.0, episodes=None):
    return (episodes or Episodes()).count(_marks(*arrivals), _marks(*failures), begin, end)


@pytest.mark.parametrize(
    ("errors", "episodes", "dead_seconds"),
    [
        pytest.param([], 0, 0.0, id="no error"),
        pytest.param([2.0, 2.0, 3.0, 6.9], 1, 5.0, id="a burst is one"),
        pytest.param([2.0, 7.0], 2, 8.0, id="alive again after 5 s, and cut at the bin's end"),
        pytest.param([9.0], 1, 1.0, id="the bin ends while it is dead"),
    ],
)
def test_errors_of_one_replica_within_five_seconds_are_one_episode(errors, episodes, dead_seconds):
    found = _count([], _canary(*errors)).canary
    assert (found.episodes, found.raw_errors) == (episodes, len(errors))
    assert found.dead_seconds == pytest.approx(dead_seconds)


def test_replicas_die_alone():
    found = _count([], [*_canary(2.0, 3.0, replica=1), *_canary(2.5, replica=2)]).canary
    assert found.episodes == 2


@pytest.mark.parametrize(
    ("arrivals", "armed"),
    [
        pytest.param([1.0, 1.9], 2, id="before the error"),
        pytest.param([2.0], 1, id="refused at once: the request that failed"),
        pytest.param([2.1, 6.9], 0, id="while it is dead"),
        pytest.param([7.0, 9.0], 2, id="alive again"),
    ],
)
def test_arrivals_at_a_dead_replica_are_not_armed(arrivals, armed):
    found = _count(_canary(*arrivals), _canary(2.0)).canary
    assert (found.arrivals, found.raw_arrivals) == (armed, len(arrivals))
    others = _count([*_canary(*arrivals, replica=0)], _canary(2.0)).canary
    assert others.arrivals == len(arrivals)


def test_a_replica_stays_dead_into_the_next_bin():
    episodes = Episodes()
    _count([], _canary(8.0), episodes=episodes)
    next_bin = _count(_canary(11.0, 12.9, 13.0), _canary(12.0), 10.0, 20.0, episodes).canary
    assert (next_bin.arrivals, next_bin.episodes, next_bin.dead_seconds) == (1, 0, 3.0)


def test_late_marks_count_as_of_the_beginning_of_the_bin():
    found = _count([*_canary(-500.0, 4.0)], _canary(-400.0), 0.0, 10.0).canary
    assert (found.raw_arrivals, found.arrivals, found.episodes) == (2, 1, 1)


def test_replicas_are_there_for_a_minute_after_their_last_request():
    episodes = Episodes()
    _count([*_canary(1.0, replica=0), *_canary(1.0, replica=5)], [], episodes=episodes)
    seen = [_count(_canary(b + 1.0), [], b, b + 10, episodes).canary.replicas for b in range(10, 90, 10)]
    assert seen == [3, 3, 3, 3, 3, 1, 1, 1]


def test_blocks_are_of_baseline_replicas_alone():
    episodes = Episodes()
    _count([(1.0, False, 0), (2.0, False, 0), (3.0, True, 1)], [(5.0, False, 0)], episodes=episodes)
    _count([(11.0, False, 2)], [], 10.0, 20.0, episodes)
    arrivals, errors = episodes.take_block()
    assert (arrivals.tolist(), errors.tolist()) == ([2, 1], [1, 0])
    assert not episodes.take_block()[0].any()


_TIMES = st.integers(0, 39).map(lambda quarter: quarter / 4)  # so that moments coincide
_ROWS = st.lists(st.tuples(_TIMES, st.integers(0, 3)), max_size=25)


def _by_hand(arrivals, failures):
    episodes = []
    for at, replica in sorted(failures):
        if not any(r == replica and at < since + 5 for since, r in episodes):
            episodes.append((at, replica))
    armed = [a for a in arrivals if not any(r == a[1] and s < a[0] < s + 5 for s, r in episodes)]
    return len(armed), len(episodes)


@settings(max_examples=100, deadline=None)
@given(_ROWS, _ROWS, st.randoms(use_true_random=False))
def test_columns_count_what_a_loop_over_requests_counts_in_any_order(arrivals, failures, random):
    random.shuffle(arrivals)
    rows = [[(at, bool(replica % 2), replica) for at, replica in kind] for kind in (arrivals, failures)]
    found = _count(*rows)
    assert (
        found.baseline.arrivals + found.canary.arrivals,
        found.baseline.episodes + found.canary.episodes,
    ) == _by_hand(arrivals, failures)


def test_resumed_episodes_count_the_same():
    first = Episodes()
    _count([(1.0, False, 0), (3.0, True, 1)], _canary(8.0), episodes=first)
    second = Episodes.from_state(json.loads(json.dumps(first.state())))
    rows = (_canary(11.0, 14.0), [(12.0, False, 0)], 10.0, 20.0)
    assert _count(*rows, first) == _count(*rows, second)
    assert first.state() == second.state()
