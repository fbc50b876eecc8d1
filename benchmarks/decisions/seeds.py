"""Which seeds may be looked at while a rule is changed, and which only to report.

Owns the ranges: they cannot meet. A batch of report seeds that has been looked at is spent: whoever changes
the rule afterwards reports on the next one.
"""

from typing import Literal

Purpose = Literal["tuning", "report"]
RANGE = 1_000_000


def seeds(purpose: Purpose, count: int, batch: int = 1) -> range:
    """The first `count` of them.

    Args:
        batch: Of report seeds, from 1.

    Raises:
        ValueError: More than a range holds, or no such batch.
    """
    if count > RANGE or batch < 1:
        raise ValueError(f"{count} seeds of batch {batch}: at most {RANGE} of a batch, batches from 1")
    start = 0 if purpose == "tuning" else batch * RANGE
    return range(start, start + count)
