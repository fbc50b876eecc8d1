import json

import numpy as np

from guard.core.observations import Marks
from guard.core.open_marks import OpenMarks


def _marks(*times):
    n = len(times)
    return Marks(np.array(times, float), np.zeros(n, np.bool_), np.arange(n, dtype=np.int32))


def _filled(*parts):
    marks = OpenMarks()
    for part in parts:
        marks.add(_marks(*part))
    return marks


def test_a_bin_takes_what_is_before_its_end_in_order_of_time():
    marks = _filled([5.0, 1.0, 12.0], [3.0, 10.0])
    assert marks.take(10.0).at.tolist() == [1.0, 3.0, 5.0]
    assert marks.take(20.0).at.tolist() == [10.0, 12.0]
    assert not marks


def test_late_ones_go_with_the_oldest_open_bin():
    marks = _filled([15.0])
    marks.take(10.0)
    marks.add(_marks(2.0))
    assert marks.take(20.0).at.tolist() == [2.0, 15.0]


def test_moments_that_are_no_numbers_are_dropped():
    assert _filled([np.nan, 1.0, np.inf, -np.inf]).take(1e12).at.tolist() == [1.0]


def test_nothing_is_taken_from_nothing():
    assert not _filled([])
    assert _filled([], []).take(10.0).at.size == 0


def test_resumed_marks_are_the_same():
    marks = _filled([5.0, 12.0], [3.0])
    resumed = OpenMarks.from_state(json.loads(json.dumps(marks.state())))
    assert [c.tolist() for c in vars(marks.take(10.0)).values()] == [
        c.tolist() for c in vars(resumed.take(10.0)).values()
    ]
    assert resumed.take(20.0).replica.dtype == np.int32
