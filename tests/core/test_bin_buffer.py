import json
import math

import numpy as np
import pytest

from guard.core.bin_buffer import HISTORY_BINS, BinBuffer


def _buffer(*at, start=100.0):
    buffer = BinBuffer(start, 2)
    for moment in at:
        buffer.add(np.array([[moment], [10 * moment]]))
    return buffer


def _second_column(bins):
    return [rows[1].tolist() for rows in bins]


def test_a_value_belongs_to_the_bin_in_which_it_became_known():
    buffer = _buffer(109.9, 100.0, 110.0, 125.0)
    assert _second_column(buffer.take(0, 3)) == [[1099.0, 1000.0], [1100.0], [1250.0]]
    assert _second_column(buffer.take(3, 5)) == [[], []]


def test_values_of_open_bins_are_kept():
    buffer = _buffer(105.0, 115.0)
    assert _second_column(buffer.take(0, 1)) == [[1050.0]]
    assert _second_column(buffer.take(1, 2)) == [[1150.0]]


def test_late_values_count_in_the_oldest_open_bin():
    buffer = _buffer(115.0, 20.0)
    assert _second_column(buffer.take(1, 2)) == [[200.0, 1150.0]]


def test_history_goes_back_an_hour():
    assert _buffer().oldest() is None
    assert _buffer(95.0, 300.0).oldest() == -1
    assert _buffer(-1e9).oldest() == -HISTORY_BINS


@pytest.mark.parametrize(("now", "end"), [(100.0, 0), (109.99, 0), (110.0, 1), (85.0, -2)])
def test_bins_end_every_10_seconds_from_the_start(now, end):
    assert _buffer().ended(now) == end


def test_resumed_buffer_holds_the_same():
    buffer = _buffer(105.0, 115.0)
    buffer.add(np.array([[116.0], [math.nan]]))
    text = json.dumps(buffer.state(), allow_nan=False)
    resumed = BinBuffer.from_state(100.0, json.loads(text))
    for a, b in zip(resumed.take(0, 2), buffer.take(0, 2), strict=True):
        np.testing.assert_array_equal(a, b)
