from guard.core.blocks import CounterBlock
from guard.core.samples import Arm, Source


def test_block_knows_its_errors_and_survives_json():
    block = CounterBlock(Source.USER, Arm.CANARY, "pod", 10.0, 2.0, 9, {"400": 2, "502": 1})
    assert (block.bad, block.client_errors, block.end) == (3, 2, 12.0)
    assert CounterBlock.from_json(block.to_json()) == block


def test_errors_never_exceed_requests():
    assert CounterBlock(Source.USER, Arm.CANARY, "pod", 0.0, 1.0, 2, {"500": 5}).bad == 2
