"""The arithmetic of rolling updates: what each ReplicaSet may have, given what it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.testing.pods.rollout import Size, plan_sizes, surge_and_unavailable

ONE_MORE_NONE_LESS = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
NONE_MORE_ONE_LESS = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
RECREATE = {"type": "Recreate"}


def size(name: str, wanted: int, available: int | None = None, pods: int | None = None) -> Size:
    return Size(name, wanted, wanted if pods is None else pods, wanted if available is None else available)


@pytest.mark.parametrize(
    ("strategy", "desired", "new", "old", "expected"),
    [
        pytest.param({}, 3, size("new", 0), [], {"new": 3}, id="a first rollout starts all at once"),
        pytest.param({}, 1, size("new", 3), [], {"new": 1}, id="scaling down takes from the new"),
        pytest.param(
            ONE_MORE_NONE_LESS, 1, size("new", 0), [size("old", 1)], {"new": 1, "old": 1}, id="surge first"
        ),
        pytest.param(
            ONE_MORE_NONE_LESS,
            1,
            size("new", 1, available=0),
            [size("old", 1)],
            {"new": 1, "old": 1},
            id="the old stays until the new is available",
        ),
        pytest.param(
            ONE_MORE_NONE_LESS, 1, size("new", 1), [size("old", 1)], {"new": 1, "old": 0}, id="then it goes"
        ),
        pytest.param(
            NONE_MORE_ONE_LESS,
            2,
            size("new", 0),
            [size("old", 2)],
            {"new": 0, "old": 1},
            id="without surge an old one makes room",
        ),
        pytest.param(
            NONE_MORE_ONE_LESS,
            2,
            size("new", 0),
            [size("old", 2, available=1)],
            {"new": 0, "old": 1},
            id="the broken old one goes and not the working one",
        ),
        pytest.param(
            RECREATE, 2, size("new", 0), [size("old", 2)], {"new": 0, "old": 0}, id="recreate empties the old"
        ),
        pytest.param(
            RECREATE,
            2,
            size("new", 0),
            [size("old", 0, pods=1)],
            {"new": 0, "old": 0},
            id="recreate waits for the last old pod's end",
        ),
        pytest.param(
            RECREATE, 2, size("new", 0), [size("old", 0)], {"new": 2, "old": 0}, id="then it starts the new"
        ),
    ],
)
def test_sizes(strategy: dict, desired: int, new: Size, old: list[Size], expected: dict[str, int]) -> None:
    assert plan_sizes(strategy, desired, new, old) == expected


@pytest.mark.parametrize(
    ("rolling", "desired", "expected"),
    [
        ({}, 4, (1, 1)),
        ({}, 1, (1, 0)),
        ({"maxSurge": "50%", "maxUnavailable": "50%"}, 3, (2, 1)),
        ({"maxSurge": 0, "maxUnavailable": "10%"}, 3, (0, 1)),
        ({"maxSurge": 2, "maxUnavailable": 0}, 3, (2, 0)),
    ],
)
def test_surge_rounds_up_and_unavailable_down_and_never_both_to_nothing(
    rolling: dict, desired: int, expected: tuple[int, int]
) -> None:
    assert surge_and_unavailable(rolling, desired) == expected


@given(
    desired=st.integers(0, 8),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    available_in_turn=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_a_rollout_keeps_both_promises_at_every_step_and_ends(
    desired: int, surge: int, unavailable: int, available_in_turn: list[bool]
) -> None:
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    surge, unavailable = surge_and_unavailable(strategy["rollingUpdate"], desired)
    new, old = size("new", 0), size("old", desired)
    for becomes_available in [*available_in_turn, *[True] * 60]:
        planned = plan_sizes(strategy, desired, new, [old])
        gained = min(planned["new"], new.available + becomes_available)
        new, old = size("new", planned["new"], gained), size("old", planned["old"])
        assert new.wanted + old.wanted <= desired + surge
        assert new.available + old.available >= desired - unavailable
    assert (new.wanted, old.wanted) == (desired, 0)
