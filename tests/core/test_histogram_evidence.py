"""Replicas' histograms as evidence of latency."""

import json
import math
import random

import numpy as np
import pytest

from guard.core import histogram_evidence as told
from guard.core.histogram_blocks import NO_NUMBER, OTHER_EDGES, HistogramBlock
from guard.core.histogram_evidence import HistogramEvidence
from guard.core.samples import Arm, Source

TTFT_EDGES = (0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0)
ITL_EDGES = (0.01, 0.025, 0.05, 0.075, 0.1)


def block(arm, start, values, *, signal="ttft", replica="0", source=Source.USER, edges=None):
    edges = edges or (TTFT_EDGES if signal == "ttft" else ITL_EDGES)
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1).tolist()
    name = f"{arm}-{replica}"
    return HistogramBlock(source, arm, name, signal, start, 10.0, edges, tuple(counts), float(sum(values)))


def blocks(seconds, *, slower=1.0, median=0.3, replicas=1, start=0.0, seed=1, each=10):
    """TTFT of `each` requests of every replica in every 10 s; the canary's from 0 s on."""
    rng = np.random.default_rng(seed)
    for at in np.arange(start, start + seconds, 10.0).tolist():
        for arm, count in ((Arm.CANARY, 1), (Arm.BASELINE, replicas)):
            for replica in range(count if arm is Arm.BASELINE or at >= 0 else 0):
                values = median * rng.lognormal(0, 0.4, each) * (slower if arm is Arm.CANARY else 1.0)
                yield block(arm, at, values.tolist(), replica=replica)


def evidence(*, replicas=1):
    """Begun, with two minutes of the baseline's history."""
    found = HistogramEvidence(1800.0)
    add(found, blocks(120, start=-120.0, replicas=replicas, seed=9))
    early = found.begin(0.0, replicas >= 8)
    found.start_step(0.0, 1, replicas)
    add(found, early)
    return found


def add(found, news, cold=lambda code, begin, end: False):
    names = {}
    for one in news:
        found.add([one], lambda arm, name: names.setdefault(f"{arm}/{name}", _code(name)), cold)


def _code(name):
    arm, _, number = name.partition("-")
    return 2 * int(number) + (arm == "canary")


@pytest.mark.parametrize("replicas", [1, 8])
def test_a_canary_twice_as_slow_is_found_and_one_as_quick_is_not(replicas):
    slow, fine = evidence(replicas=replicas), evidence(replicas=replicas)
    add(slow, blocks(300, slower=2.0, replicas=replicas))
    add(fine, blocks(300, replicas=replicas))
    assert slow.latency["ttft"].evidence(300.0) > 20 > 2 > fine.latency["ttft"].evidence(300.0)


def test_a_slowdown_that_crosses_no_edge_is_found_by_the_sum():
    """All values share the bucket of 0.25 to 0.5 s: to counts alone the canary is as quick."""
    found = HistogramEvidence(1800.0)
    found.begin(0.0, False)
    found.start_step(0.0, 1, 1)
    rng = random.Random(3)
    for at in range(0, 600, 10):
        for arm, middle in ((Arm.BASELINE, 0.28), (Arm.CANARY, 0.43)):
            add(found, [block(arm, float(at), [middle * rng.uniform(0.9, 1.1) for _ in range(10)])])
    assert found.latency["ttft"].evidence(600.0) > 555
    assert set(found.tail("ttft").values()) == {(0.25, 0.5)}


def test_nothing_is_compared_before_the_first_step():
    found = HistogramEvidence(1800.0)
    add(found, blocks(100, slower=3.0))
    assert not found.latency
    assert not found.speaks("ttft")


def test_it_speaks_when_both_arms_were_seen_since_the_first_step():
    found = evidence()
    assert not found.speaks("ttft")
    add(found, [block(Arm.CANARY, 0.0, [0.3])])
    assert not found.speaks("ttft")
    add(found, [block(Arm.BASELINE, 0.0, [0.3])])
    assert found.speaks("ttft")
    assert not found.speaks("itl")


def test_gaps_of_few_requests_count_as_few_values():
    """The known-bad case: 4 requests of 500 gaps each are no 2,000 independent values."""
    found = evidence()
    gaps = [0.03] * 2000
    found.add(
        [block(Arm.CANARY, 0.0, [0.3] * 4), block(Arm.CANARY, 0.0, gaps, signal="itl")],
        lambda arm, name: _code(name),
        lambda code, begin, end: False,
    )
    assert found.values == {"ttft": 4, "itl": 4}
    add(found, [block(Arm.CANARY, 10.0, gaps, signal="itl")])
    assert found.values["itl"] == 5


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (block(Arm.CANARY, 0.0, [0.3], source=Source.SIMULATED), told.OTHER_SOURCE),
        (block(Arm.CANARY, 0.0, [0.3], edges=(0.1, 0.2)), OTHER_EDGES),
        (block(Arm.CANARY, math.nan, [0.3]), NO_NUMBER),
        (block(Arm.CANARY, 0.0, [math.nan]), NO_NUMBER),
        (block(Arm.CANARY, 0.0, [0.3], edges=(0.2, 0.1)), NO_NUMBER),
    ],
    ids=["a second source", "other edges", "no time", "no sum", "edges that fall"],
)
def test_what_cannot_be_used_is_dropped_and_counted(bad, why):
    found = evidence()
    add(found, [block(Arm.BASELINE, 0.0, [0.3]), bad])
    assert found.dropped == {why: 1}
    assert found.values["ttft"] == 0


def test_an_unsound_first_block_does_not_set_what_is_expected():
    found = HistogramEvidence(1800.0)
    found.begin(0.0, False)
    add(found, [block(Arm.CANARY, math.nan, [0.3], source=Source.SIMULATED, edges=(0.1,))])
    add(found, [block(Arm.CANARY, 0.0, [0.3])])
    assert found.dropped == {NO_NUMBER: 1}
    assert found.values["ttft"] == 1


def test_a_cold_replicas_blocks_are_left_out():
    found = evidence()
    add(found, blocks(300, slower=5.0), lambda code, begin, end: code == _code("canary-0"))
    assert found.latency["ttft"].evidence(300.0) == pytest.approx(1)
    assert found.dropped == {told.COLD: 30}


def test_the_order_of_blocks_of_one_moment_changes_nothing():
    values = []
    for seed in range(3):
        found, news = evidence(replicas=3), list(blocks(200, slower=1.5, replicas=3))
        for at in range(0, 200, 10):
            now = [one for one in news if one.start == at]
            random.Random(seed).shuffle(now)
            add(found, now)
        values.append(found.latency["ttft"].evidence(200.0))
    assert values == pytest.approx([values[0]] * 3, rel=1e-9)


def test_resumed_evidence_goes_on_with_the_same_numbers():
    news = list(blocks(240, slower=1.4))
    whole = evidence()
    add(whole, news[:20])
    resumed = HistogramEvidence.from_state(1800.0, json.loads(json.dumps(whole.state())))
    for found in (whole, resumed):
        add(found, news[20:])
    assert resumed.latency["ttft"].evidence(240.0) == whole.latency["ttft"].evidence(240.0)
    assert resumed.state() == whole.state()


def test_history_held_back_survives_a_resume():
    found = HistogramEvidence(1800.0)
    add(found, blocks(60, start=-60.0))
    resumed = HistogramEvidence.from_state(1800.0, json.loads(json.dumps(found.state())))
    assert resumed.begin(0.0, False) == found.begin(0.0, False) != []
