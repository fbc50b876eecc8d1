"""Ages, as kubectl words them."""

import pytest

from guard.testing.cluster.human import age, duration

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (601, "10m"),
        (3 * 3600 + 20 * 60, "3h20m"),
        (9 * 3600 + 60, "9h"),
        (2 * DAY + 3600, "2d1h"),
        (9 * DAY, "9d"),
        (3 * 365 * DAY, "3y"),
        (-1, "0s"),
        (-5, "<invalid>"),
    ],
)
def test_a_duration_is_precise_while_young(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_no_time_stamp_is_an_unknown_age() -> None:
    assert age(None) == "<unknown>"
    assert age("soon") == "<unknown>"
