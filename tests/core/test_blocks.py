from guard.core.blocks import CounterBlock, CounterSeries
from guard.core.samples import Arm, Source


def test_increments_are_differences_and_a_lower_value_is_a_restart_from_zero():
    series = CounterSeries()
    assert [series.add(at, value) for at, value in ((0, 10), (1, 14), (2, 14), (3, 2), (4, 5))] == [
        None,
        4,
        0,
        2,
        3,
    ]


def test_a_reading_that_is_not_later_than_the_last_adds_nothing():
    series = CounterSeries()
    series.add(5.0, 10)
    assert series.add(5.0, 12) is None
    assert series.add(4.0, 99) is None
    assert series.add(6.0, 13) == 3


def test_block_knows_its_errors_and_survives_json():
    block = CounterBlock(Source.USER, Arm.CANARY, "pod", 10.0, 2.0, 9, {"400": 2, "502": 1})
    assert (block.bad, block.client_errors, block.end) == (3, 2, 12.0)
    assert CounterBlock.from_json(block.to_json()) == block


def test_errors_never_exceed_requests():
    assert CounterBlock(Source.USER, Arm.CANARY, "pod", 0.0, 1.0, 2, {"500": 5}).bad == 2
