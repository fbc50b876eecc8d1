import json

import numpy as np
import pytest

from guard.core.error_proof import ErrorProof
from guard.core.promotion import PROVEN


def _proof(
    canary_ratio, baseline_ratio=0.005, *, bins=90, canary=(30,), baseline=(30, 30, 30), seed=1, burst=0.0
):
    """The highest evidence of a step; `burst`: chance that a replica fails a third of a bin."""
    rng, proof, highest = np.random.default_rng(seed), ErrorProof(), 1.0
    for _ in range(bins):
        counts = []
        for ratio, totals in ((canary_ratio, canary), (baseline_ratio, baseline)):
            fails = np.where(rng.random(len(totals)) < burst, 0.33, ratio)
            counts += [rng.binomial(totals, fails).astype(float), np.array(totals, float)]
        proof.observe(*counts)
        highest = max(highest, proof.evidence())
    return highest


def _proven(canary_ratio, rollouts, **kwargs):
    return sum(_proof(canary_ratio, seed=s, **kwargs) >= PROVEN for s in range(rollouts))


def test_nothing_seen_proves_nothing():
    proof = ErrorProof()
    assert proof.evidence() == 1
    proof.observe(np.zeros(0), np.zeros(0), np.zeros(2), np.array([5.0, 5.0]))
    assert proof.evidence() == 1


def test_canary_as_good_is_proven():
    assert _proven(0.005, 20) >= 16
    assert _proven(0.0, 10, baseline_ratio=0.0) == 10


@pytest.mark.parametrize(("canary", "baseline"), [(0.02, 0.005), (0.015, 0.0), (0.045, 0.03)])
def test_canary_worse_by_the_margin_is_hardly_ever_proven(canary, baseline):
    assert _proven(canary, 40, baseline_ratio=baseline) <= 2  # 5 % is the bound


def test_canary_clearly_worse_is_never_proven():
    assert _proven(0.04, 30) == 0


def test_replicas_that_fail_in_spells_are_proven_later_not_falsely():
    assert _proven(0.02, 40, burst=0.01) <= 2


def test_bad_requests_never_help():
    fewer, more = ErrorProof(), ErrorProof()
    for i in range(30):
        rest = (np.array([10.0]), np.array([0.1 * (i % 3)]), np.array([40.0]))
        fewer.observe(np.zeros(1), *rest)
        more.observe(np.ones(1) * (i == 3), *rest)
    assert more.evidence() < fewer.evidence()


def test_a_replica_s_bin_counts_as_ten_requests_at_most():
    few, many = ErrorProof(), ErrorProof()
    for _ in range(30):
        few.observe(np.zeros(1), np.array([10.0]), np.zeros(1), np.array([40.0]))
        many.observe(np.zeros(1), np.array([5000.0]), np.zeros(1), np.array([40.0]))
    assert few.evidence() == pytest.approx(many.evidence())


def test_a_bad_spell_of_the_baseline_alone_is_no_proof():
    """It would raise what the canary is allowed, if it were taken as it is."""
    rng, false = np.random.default_rng(4), 0
    for _ in range(30):
        proof, highest = ErrorProof(), 1.0
        for i in range(90):
            spell = 0.4 if 20 <= i < 26 else 0.002
            bad = rng.binomial([30] * 4, [0.025, spell, 0.002, 0.002]).astype(float)
            proof.observe(bad[:1], np.array([30.0]), bad[1:], np.full(3, 30.0))
            highest = max(highest, proof.evidence())
        false += highest >= PROVEN
    assert false <= 3


def test_another_step_starts_again():
    proof = ErrorProof()
    proof.observe(np.zeros(1), np.array([10.0]), np.zeros(1), np.array([40.0]))
    proof.start_step()
    assert proof.evidence() == 1


def test_resume_equals_no_interruption():
    straight, resumed = ErrorProof(), ErrorProof()
    for i in range(20):
        for p in (straight, resumed):
            p.observe(np.array([i % 2 * 1.0]), np.array([7.0]), np.array([1.0, 0.0]), np.array([9.0, 14.0]))
        resumed = ErrorProof.from_state(json.loads(json.dumps(resumed.state())))
    assert (resumed.state(), resumed.evidence()) == (straight.state(), straight.evidence())
