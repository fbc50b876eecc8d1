import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.core.observations import Latencies
from guard.core.open_values import OpenValues


def _seen(*rows):
    """Rows of (at, canary, replica, seconds)."""
    at, canary, replica, seconds = zip(*rows, strict=True)
    return Latencies(
        np.array(at, float),
        np.array(canary, bool),
        np.array(replica, np.int32),
        np.array(seconds, float),
        np.full(len(rows), np.nan),
    )


def _closed(values, first, last):
    return [span.at.tolist() for span in values.close(first, last)]


def test_values_fall_into_the_span_in_which_they_became_known():
    values = OpenValues(100.0, 10.0)
    values.add(_seen((119.9, 0, 0, 1), (100, 0, 0, 1), (110, 0, 0, 1), (99, 0, 0, 1)))
    assert _closed(values, -1, 2) == [[99], [100], [110, 119.9]]


def test_late_values_count_in_the_oldest_open_span_and_early_ones_stay():
    values = OpenValues(0.0, 10.0)
    values.add(_seen((5, 0, 0, 1), (25, 0, 0, 1)))
    assert _closed(values, 1, 2) == [[5]]
    assert _closed(values, 2, 4) == [[25], []]
    assert _closed(values, 4, 5) == [[]]


def test_what_cannot_be_used_is_left_out():
    values = OpenValues(0.0, 10.0)
    bad = [float("nan"), float("inf"), 0.0, -1.0]
    used = values.add(
        _seen(
            *((1, 0, 0, x) for x in bad),
            (float("nan"), 0, 0, 1),
            (2, 0, -1, 1),
            (2, 0, 2**30, 1),
            (2, 0, 0, 1e300),
            (3, 1, 2, 1),
        )
    )
    assert len(used) == 1
    assert _closed(values, 0, 1) == [[3]]


@given(st.permutations(range(6)))
def test_order_of_telling_changes_nothing(order):
    rows = [(1, 0, 3, 0.2), (1, 0, 3, 0.1), (2, 0, 3, 0.1), (0.5, 1, 4, 3), (0.5, 1, 5, 3), (9, 0, 0, 1)]
    values = OpenValues(0.0, 10.0)
    for i in order:
        values.add(_seen(rows[i]))
    (span,) = values.close(0, 1)
    assert span.replica.tolist() == [0, 3, 3, 3, 4, 5]
    assert np.exp(span.log_seconds).round(6).tolist() == [1, 0.1, 0.2, 0.1, 3, 3]


def test_resume_equals_no_interruption():
    values = OpenValues(0.0, 10.0)
    values.add(_seen((1, 0, 0, 0.3), (12, 1, 1, 0.7)))
    resumed = OpenValues.from_state(json.loads(json.dumps(values.state())))
    assert resumed.state() == values.state()
    assert _closed(resumed, 0, 2) == _closed(values, 0, 2)
