"""What the plots of a replay show."""

import math

import numpy as np
import pytest

from guard.core.replay_series import series
from guard.core.rollout import Rollout
from guard.core.samples import Arm, Source
from tests.core.recorded import STEPS, evals, log, rollout


def test_each_arm_has_its_latency_errors_and_passes():
    found = series(rollout(fails_from=150.0, evals=evals([(10.0, True, False), (20.0, True, True)])))
    canary, baseline = found.arms[Arm.CANARY], found.arms[Arm.BASELINE]
    assert found.source is Source.USER
    assert canary.ttft_p50[0][1] == pytest.approx(0.2)
    assert canary.itl_p50[0][1] == pytest.approx(0.02)
    assert (canary.failed[0][1], canary.failed[-1][1]) == (0.0, 1.0)
    assert {ratio for _, ratio in baseline.failed} == {0.0}
    assert (canary.bad, baseline.bad) == (50, 0)
    assert [value for _, value in canary.passed] == [0.0, 0.5]


def test_every_point_lies_within_the_recording():
    found = series(rollout())
    for arm in found.arms.values():
        for points in (arm.ttft_p50, arm.ttft_p95, arm.itl_p50, arm.failed):
            assert all(found.begin <= at <= found.end and math.isfinite(value) for at, value in points)
            assert len(points) <= 81


def test_two_sources_are_not_mixed_the_one_that_saw_more_of_the_canary_speaks():
    probes = log(np.arange(0.0, 100.0, 10.0), [True, False] * 5)
    both = rollout()
    mixed = Rollout(STEPS, 200.0, requests={Source.PROBE: probes, **both.requests})
    assert series(mixed).source is Source.USER


def test_nothing_recorded_gives_nothing_to_draw():
    found = series(Rollout(STEPS, 200.0))
    assert (found.source, found.arms[Arm.CANARY].ttft_p50) == (None, ())
