import json

import numpy as np
import pytest

from guard.core.open_values import Values
from guard.core.request_rates import RequestRates


def _span(counts, canaries=1):
    """One span: counts by replica code, the last `canaries` of them the canary's."""
    replica = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    is_canary = np.arange(len(counts)) >= len(counts) - canaries
    zeros = np.zeros(len(replica))
    return Values(zeros, is_canary[replica], replica, zeros, zeros), is_canary


def _after(counts, spans=40, canaries=1):
    rates = RequestRates()
    for _ in range(spans):
        rates.count(*_span(counts, canaries))
    return rates


def _share_kept(rates, counts, spans=50, canaries=1):
    """Of each replica's values."""
    kept = np.zeros(len(counts))
    for _ in range(spans):
        values, _is_canary = _span(counts, canaries)
        kept += np.bincount(values.replica[rates.alike(values)], minlength=len(counts))
    return (kept / (spans * np.array(counts))).tolist()


def test_canary_is_expected_to_see_what_a_baseline_replica_sees():
    baseline, canary = _after([10, 10, 10], canaries=0).per_replica()
    assert baseline == pytest.approx(10)
    assert canary == pytest.approx(10)


def test_rates_are_told_per_replica_and_follow_what_was_seen():
    baseline, canary = _after([10, 12, 14, 3]).per_replica()
    assert baseline == pytest.approx(12)
    assert canary == pytest.approx(3, rel=0.2)


def test_replicas_that_were_told_count_even_when_they_are_silent():
    rates = RequestRates()
    rates.replicas = [6, 1]
    for _ in range(30):
        rates.count(*_span([10, 10, 10, 3]))
    assert rates.per_replica()[0] == pytest.approx(5)


@pytest.mark.parametrize("counts", [[10, 10, 10], [10, 10, 9], [10, 20, 14]])
def test_like_rates_keep_everything(counts):
    assert _share_kept(_after(counts), counts) == [1, 1, 1]


def test_the_busier_arm_is_thinned_to_the_other_s_rate():
    assert _share_kept(_after([20, 20, 4], 90), [20, 20, 4]) == pytest.approx([0.2, 0.2, 1], abs=0.05)
    assert _share_kept(_after([5, 5, 20], 90), [5, 5, 20]) == pytest.approx([1, 1, 0.25], abs=0.05)


def test_nothing_is_thinned_before_the_canary_was_seen():
    assert _share_kept(_after([20, 20], canaries=0), [20, 20], canaries=0) == [1, 1]


def test_nothing_seen_is_a_rate_of_0():
    assert RequestRates().per_replica() == (0, 0)


def test_resume_equals_no_interruption():
    rates = _after([20, 20, 4])
    resumed = RequestRates.from_state(json.loads(json.dumps(rates.state())))
    assert _share_kept(resumed, [20, 20, 4], 3) == _share_kept(rates, [20, 20, 4], 3)
    assert resumed.state() == rates.state()
