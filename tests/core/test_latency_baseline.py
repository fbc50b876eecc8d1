import json

import numpy as np
import pytest

from guard.core.latency_baseline import LatencyBaseline

ONE = np.zeros(40, np.int32)


def _taught(seed=1, *, bins=30, spread=0.4, reach=0.0):
    rng, baseline = np.random.default_rng(seed), LatencyBaseline(reach)
    for _ in range(bins):
        log_seconds = rng.normal(-1, spread, 40)
        if baseline.known:
            baseline.learn_variances(ONE, baseline.scores(log_seconds), 1, 0.06**2)
        baseline.learn(ONE, log_seconds, np.full(40, np.nan))
        baseline.end_bin(0.06**2)
    return baseline


def test_nothing_seen_knows_nothing():
    baseline = LatencyBaseline(0.6)
    assert not baseline.known
    assert baseline.own_variance == 0.0
    assert np.isnan(baseline.sigma)


def test_scores_are_standard_and_margins_move_the_canarys():
    baseline = _taught()
    assert baseline.scores(np.array([-1.0, -0.6, -1.4])) == pytest.approx([0, 1, -1], abs=0.15)
    moved = baseline.scores(np.array([-0.6]), 0.4) - baseline.scores(np.array([-1.0]))
    assert moved == pytest.approx(0, abs=1e-12)
    assert baseline.own_variance == pytest.approx(0.16, rel=0.4)  # by the last 200 s, and the prior


@pytest.mark.parametrize(("reach", "seen"), [(0.0, 0.15), (0.6, 0.6)])
def test_regular_requests_are_seen_as_far_as_the_reach(reach, seen):
    baseline = _taught(spread=0.01, reach=reach)
    assert baseline.sigma == 0.05
    assert baseline.sigma * baseline.scores(np.array([5.0]))[0] == pytest.approx(seen)


def test_baseline_is_off_its_level_on_either_side():
    baseline = _taught()
    assert baseline.off_level(0.0, 40, 1, 0.06**2) == 0.0
    for score in (3.0, -3.0):
        assert baseline.off_level(score, 40, 1, 0.06**2) > 0.5


def test_resumed_baseline_goes_on_with_the_same_bits():
    whole = _taught(reach=0.3)
    resumed = LatencyBaseline.from_state(json.loads(json.dumps(whole.state(), allow_nan=False)))
    assert resumed.state() == whole.state()
    assert resumed.scores(np.array([-0.9])) == whole.scores(np.array([-0.9]))
