import math

import numpy as np
import pytest

from guard.core.load_match import LoadMatch


def _match(canary, baseline, low=math.nan, high=math.nan):
    match = LoadMatch()
    match.add(np.array(canary, float), np.array(baseline, float), (low, math.nan, high))
    return match


@pytest.mark.parametrize(
    ("canary", "baseline", "differs"),
    [
        pytest.param([2] * 20, [2] * 20, False, id="equal"),
        pytest.param([1] * 20, [4] * 20, True, id="canary carries less"),
        pytest.param([4] * 20, [1] * 20, True, id="canary carries more"),
        pytest.param([1.0] * 20, [1.4] * 20, False, id="half a request is no load"),
        pytest.param([20] * 20, [24] * 20, False, id="a fifth more"),
        pytest.param([0] * 20, [4] * 20, True, id="canary idle"),
        pytest.param([0] * 7, [4] * 20, False, id="too few to say"),
        pytest.param([], [], False, id="nothing seen"),
    ],
)
def test_without_a_slope_mean_loads_decide(canary, baseline, differs):
    assert _match(canary, baseline).differs(slope_known=False) is differs


def test_with_a_slope_only_loads_that_the_baseline_never_has_differ():
    assert not _match([2] * 20, [5] * 20, low=1, high=9).differs(slope_known=True)
    assert _match([0] * 20, [5] * 20, low=1, high=9).differs(slope_known=True)
    assert not _match([0] * 9 + [3] * 11, [5] * 20, low=1, high=9).differs(slope_known=True)


def test_each_step_is_judged_by_its_own_load():
    match = _match([0] * 20, [5] * 20)
    assert match.means == (0.0, 5.0)
    match.start_step()
    assert match.means is None
    assert not match.differs(slope_known=False)


def test_resumed_match_says_the_same():
    match = _match([0, 1] * 10, [5] * 20, 1, 9)
    resumed = LoadMatch.from_state(match.state())
    assert resumed.means == match.means
    assert resumed.differs(True) == match.differs(True)
