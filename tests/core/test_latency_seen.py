import json

import numpy as np

from guard.core.latency_seen import LatencySeen


def test_requests_and_distinct_replicas_are_counted_for_each_arm():
    seen = LatencySeen()
    for _ in range(2):
        seen.add(np.array([0, 3, 0], np.int32), np.array([1], np.int32))
    assert (seen.canary_requests, seen.baseline_requests) == (6, 2)
    assert (seen.canary_replicas, seen.baseline_replicas) == (2, 1)
    assert LatencySeen.from_state(json.loads(json.dumps(seen.state()))).state() == seen.state()


def test_one_arm_may_be_silent():
    seen = LatencySeen()
    seen.add(np.zeros(0, np.int32), np.array([1], np.int32))
    assert (seen.canary_requests, seen.canary_replicas) == (0, 0)
