import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.share_bins import MOST_BINS, ShareBins


def _add(bins, *rows):
    """(at, canary, requests)"""
    at, canary, requests = np.array(rows, float).T
    bins.add(at, canary.astype(np.int64), requests.astype(np.int64))
    return bins


def test_bins_count_once_they_have_ended():
    bins = _add(ShareBins(100.0), (100.0, 1, 1), (109.9, 0, 1), (110.0, 1, 3), (125.0, 1, 1))
    assert bins.close(109.9).tolist() == []
    assert bins.close(120.0).tolist() == [[1, 2], [1, 3]]


def test_what_is_older_than_the_beginning_is_not_counted_and_what_is_late_is():
    bins = _add(ShareBins(100.0), (99.9, 1, 1))
    bins.close(120.0)
    _add(bins, (105.0, 1, 1), (99.0, 1, 1))
    assert bins.close(130.0).tolist() == [[0, 0], [0, 0], [1, 1]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 60000), min_size=1, max_size=40), st.lists(st.floats(0, 61000), max_size=4))
def test_a_long_step_has_few_bins_and_loses_no_request(times, looks):
    bins = _add(ShareBins(0.0), *[(at, at % 2 < 1, 1) for at in times])
    for now in [*sorted(looks), 120000.0]:
        closed = bins.close(now)
        assert len(closed) <= MOST_BINS
    assert closed.sum(0).tolist() == [sum(at % 2 < 1 for at in times), len(times)]


@pytest.mark.parametrize("now", [np.nan, np.inf, -1e9, 1e15])
def test_no_clock_breaks_them(now):
    bins = _add(ShareBins(0.0), (5.0, 1, 1), (1e300, 1, 1))
    assert len(bins.close(now)) <= MOST_BINS
    assert len(ShareBins(np.inf).close(now)) == 0


def test_resumed_bins_are_the_same():
    bins = _add(ShareBins(0.0), *[(at, 1, 2) for at in range(0, 9000, 7)])
    bins.close(7000.0)
    resumed = ShareBins.from_state(json.loads(json.dumps(bins.state())))
    for one in (bins, resumed):
        _add(one, (8000.0, 0, 5))
    assert resumed.close(9100.0).tolist() == bins.close(9100.0).tolist()
