"""Readings of a replica's histogram, and the blocks between them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core import histogram_blocks as told
from guard.core.histogram_blocks import HistogramBlock, HistogramDifferences, cumulative, quantile_edges
from guard.core.samples import Arm, Source

EDGES = (0.1, 0.25, 0.5)
INF = math.inf


def _rows(*counts, edges=EDGES):
    return list(zip((*edges, INF), counts, strict=True))


def _differences():
    return HistogramDifferences(Source.USER, Arm.CANARY, "c-0", "ttft")


def test_a_block_is_what_two_readings_ten_seconds_apart_differ_by():
    differences = _differences()
    assert differences.take(100.0, _rows(1, 2, 2, 3), 1.0) is None
    assert differences.take(105.0, _rows(1, 2, 2, 3), 1.0) is None
    block = differences.take(110.0, _rows(1, 4, 7, 8), 3.5)
    assert block == HistogramBlock(
        Source.USER, Arm.CANARY, "c-0", "ttft", 100.0, 10.0, EDGES, (0, 2, 3, 0), 2.5
    )
    assert (block.count, block.mean, block.end) == (5, 0.5, 110.0)
    assert not differences.dropped


def test_a_block_survives_json():
    block = HistogramBlock(Source.USER, Arm.CANARY, "c", "itl", 0.0, 10.0, EDGES, (0, 2, 3, 0), 2.5)
    assert HistogramBlock.from_json(json.loads(json.dumps(block.to_json()))) == block


def test_nothing_observed_is_no_block():
    differences = _differences()
    differences.take(0.0, _rows(1, 2, 2, 3), 1.0)
    assert differences.take(10.0, _rows(1, 2, 2, 3), 1.0) is None
    assert not differences.dropped


@pytest.mark.parametrize(
    ("rows", "total"),
    [(_rows(0, 1, 2, 3), 2.0), (_rows(2, 3, 4, 5), 0.5)],
    ids=["the count falls", "the sum falls though the count rose"],
)
def test_a_counter_that_fell_begins_anew(rows, total):
    """What came between the reading before and the restart is of no known time."""
    differences = _differences()
    differences.take(0.0, _rows(2, 3, 4, 4), 1.0)
    assert differences.take(10.0, rows, total) is None
    assert differences.dropped == {told.RESET: 1}
    later = [(le, count + 2) for le, count in rows]
    assert differences.take(20.0, later, total + 0.1).counts == (2, 0, 0, 0)


def test_a_restart_within_a_block_is_seen_even_when_the_block_ends_above_its_beginning():
    differences = _differences()
    differences.take(0.0, _rows(2, 3, 4, 4), 1.0)
    differences.take(4.0, _rows(2, 3, 9, 9), 3.0)
    differences.take(8.0, _rows(1, 1, 1, 1), 0.1)
    assert differences.take(12.0, _rows(9, 9, 9, 9), 4.0) is None
    assert differences.dropped == {told.RESET: 1}
    assert differences.take(18.0, _rows(10, 10, 10, 10), 4.1).counts == (9, 0, 0, 0)


def test_other_edges_begin_anew():
    differences = _differences()
    differences.take(0.0, _rows(1, 2, 3, 4), 1.0)
    assert differences.take(10.0, _rows(2, 3, 4, 5, edges=(0.1, 0.3, 0.5)), 2.0) is None
    assert differences.dropped == {told.OTHER_EDGES: 1}
    assert differences.take(20.0, _rows(2, 3, 5, 6, edges=(0.1, 0.3, 0.5)), 2.5).count == 1


@pytest.mark.parametrize(
    ("rows", "total", "why"),
    [
        (_rows(1, 2, 3, 4)[:-1], 1.0, told.NO_LAST_BUCKET),
        ([], 0.0, told.NO_LAST_BUCKET),
        ([(INF, 3)], 1.0, told.NO_EDGE),
        (_rows(1, math.nan, 3, 4), 1.0, told.NO_NUMBER),
        (_rows(1, -2, 3, 4), 1.0, told.NO_NUMBER),
        (_rows(1, 2, 3, INF), 1.0, told.NO_NUMBER),
        (_rows(1, 2, 3, 4, edges=(0.1, math.nan, 0.5)), 1.0, told.NO_NUMBER),
        (_rows(1, 2, 3, 4, edges=(-0.1, 0.2, 0.5)), 1.0, told.NO_NUMBER),
        (_rows(1, 2, 3, 4), math.nan, told.NO_NUMBER),
        (_rows(1, 2, 3, 4), -1.0, told.NO_NUMBER),
        (_rows(1, 2, 3, 4, edges=(0.1, 0.1, 0.5)), 1.0, told.TWO_OF_ONE_EDGE),
        (_rows(1, 3, 2, 4), 1.0, told.NOT_CUMULATIVE),
    ],
)
def test_a_reading_that_cannot_be_is_left_out_and_the_block_goes_on(rows, total, why):
    with pytest.raises(ValueError, match=why.replace("+", r"\+")):
        cumulative(rows, total)
    differences = _differences()
    differences.take(0.0, _rows(1, 2, 2, 3), 1.0)
    assert differences.take(5.0, rows, total) is None
    assert differences.dropped == {why: 1}
    assert differences.take(10.0, _rows(2, 3, 3, 4), 1.05).counts == (1, 0, 0, 0)


@pytest.mark.parametrize("at", [5.0, 4.0, math.nan])
def test_a_clock_that_does_not_go_on_gives_nothing(at):
    differences = _differences()
    differences.take(5.0, _rows(1, 2, 2, 3), 1.0)
    assert differences.take(at, _rows(9, 9, 9, 9), 2.0) is None
    assert differences.dropped == {told.CLOCK: 1}


def test_what_grew_over_an_outage_is_no_block():
    differences = _differences()
    differences.take(0.0, _rows(1, 2, 2, 3), 1.0)
    assert differences.take(61.0, _rows(7, 9, 9, 10), 2.0) is None
    assert differences.dropped == {told.TOO_LONG: 1}
    assert differences.take(71.0, _rows(8, 10, 10, 11), 2.05).count == 1


@pytest.mark.parametrize(
    ("counts", "q", "found"),
    [
        ((0, 95, 5, 0), 0.95, (0.1, 0.25)),
        ((0, 94, 6, 0), 0.95, (0.25, 0.5)),
        ((10, 0, 0, 0), 0.95, (0.0, 0.1)),
        ((0, 0, 0, 1), 0.5, (0.5, INF)),
        ((0, 0, 0, 0), 0.5, None),
    ],
)
def test_a_quantile_is_known_to_its_bucket(counts, q, found):
    assert quantile_edges(EDGES, counts, q) == found


@given(st.lists(st.lists(st.floats(0.001, 100.0), max_size=8), min_size=2, max_size=12), st.data())
def test_blocks_hold_every_value_once_between_resets(batches, data):
    """Readings every 4 s of a replica that restarts at will: no value is counted twice, none is invented."""
    differences, seen, at = _differences(), [], 0.0
    found, all_values = [], 0
    for batch in batches:
        if data.draw(st.booleans()):
            seen = []
        seen = seen + batch
        all_values += len(batch)
        rows = _rows(*(sum(value <= le for value in seen) for le in (*EDGES, INF)))
        found.append(differences.take(at, rows, math.fsum(seen)))
        at += 4.0
    blocks = [block for block in found if block]
    assert sum(block.count for block in blocks) <= all_values
    for block in blocks:
        assert min(block.counts) >= 0
        assert 10.0 <= block.seconds < 14.0
