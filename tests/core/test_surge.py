import json

import pytest

from guard.core.surge import Surge

USUAL = 0.01  # an upper estimate: surge from 2 % on


def _surge(bins):
    surge = Surge()
    for arrivals, errors in bins:
        surge.add(arrivals, errors)
    return surge


QUIET = [(20, 0)] * 60


@pytest.mark.parametrize(
    ("last", "surging"),
    [
        pytest.param([], False, id="no error at all"),
        pytest.param([(20, 1)], False, id="one error is chance"),
        pytest.param([(20, 2)], True, id="two of the last forty"),
        pytest.param([(20, 1), (20, 1)], True, id="two in neighbouring bins"),
        pytest.param([(20, 1), *[(20, 0)] * 5, (20, 1)], False, id="two far apart"),
        pytest.param([(2000, 2)], False, id="two of thousands"),
        pytest.param([(1, 3)], True, id="more errors than arrivals, which came before"),
        pytest.param([(20, 9), *[(20, 0)] * 12], True, id="many two minutes ago: the longest window"),
        pytest.param([(20, 30), *[(20, 0)] * 49], False, id="longer ago than any window"),
    ],
)
def test_a_surge_is_seen_over_any_of_five_windows(last, surging):
    assert _surge([*QUIET, *last]).now(USUAL) is surging


def test_a_baseline_that_always_fails_is_no_surge():
    assert not _surge([(20, 2)] * 60).now(0.12)


def test_silence_is_a_baseline_without_requests():
    surge = _surge([(20, 0), *[(0, 0)] * 5])
    assert not surge.silent(6)
    surge.add(0, 0)
    assert surge.silent(6)
    assert Surge().silent(6)


def test_resumed_surges_are_the_same():
    first = _surge([*QUIET, (20, 1)])
    second = Surge(**json.loads(json.dumps(first.state())))
    for surge in (first, second):
        surge.add(20, 1)
    assert first.state() == second.state()
    assert second.now(USUAL)
