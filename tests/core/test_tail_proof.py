import json
import math

import numpy as np
import pytest

from guard.core.promotion import PROVEN
from guard.core.tail_proof import TailProof, log_bet


def _proof(canary_share, baseline_share=0.05, bins=90, canary=12, baseline=40, seed=1):
    """The highest evidence of a step."""
    rng, proof, highest = np.random.default_rng(seed), TailProof(), 1.0
    for _ in range(bins):
        proof.observe(
            rng.binomial(canary, canary_share), canary, rng.binomial(baseline, baseline_share), baseline
        )
        highest = max(highest, proof.evidence())
    return highest


@pytest.mark.parametrize(
    ("over", "total", "other_over", "other_total"), [(1, 3, 2, 4), (0, 5, 3, 3), (2, 2, 0, 9)]
)
@pytest.mark.parametrize("omega", [0.25, 0.5])
def test_mean_over_all_assignments_is_exactly_1(omega, over, total, other_over, other_total):
    marked, mean = over + other_over, 0.0
    for y in range(max(0, marked - other_total), min(marked, total) + 1):
        chance = (
            math.comb(total, y) * math.comb(other_total, marked - y) / math.comb(total + other_total, marked)
        )
        mean += chance * math.exp(log_bet(omega, y, total, marked - y, other_total))
    assert mean == pytest.approx(1)


def test_no_slow_request_anywhere_says_nothing():
    assert log_bet(0.25, 0, 10, 0, 100) == pytest.approx(0, abs=1e-12)
    assert log_bet(0.25, 10, 10, 100, 100) == pytest.approx(0, abs=1e-9)


def test_lighter_tail_is_proven_and_an_equal_one_is_not():
    assert sum(_proof(0.015, seed=s) >= PROVEN for s in range(20)) >= 18
    assert sum(_proof(0.05, seed=s) >= PROVEN for s in range(60)) <= 3
    assert sum(_proof(0.10, seed=s) >= PROVEN for s in range(20)) == 0


def test_baseline_that_is_slow_by_spells_makes_proofs_dearer():
    calm, spells = TailProof(), TailProof()
    for i in range(120):
        calm.observe(0, 10, 2, 40)
        spells.observe(0, 10, 16 if i % 48 < 6 else 0, 40)
    assert calm.divisor() < 1.3
    assert spells.divisor() > 2


@pytest.mark.parametrize("counts", [(0, 0, 5, 40), (0, 12, 0, 0), (0, 0, 0, 0)])
def test_bin_without_both_arms_is_no_bet(counts):
    proof = TailProof()
    for _ in range(20):
        proof.observe(*counts)
    assert proof.evidence() == 1


def test_another_step_starts_again_but_knows_the_baseline():
    proof = TailProof()
    for i in range(60):
        proof.observe(0, 10, 10 if i < 12 else 0, 40)
    proof.start_step()
    assert proof.evidence() == 1
    proof.observe(0, 10, 4, 40)
    assert proof.divisor() > 1.5


def test_resume_equals_no_interruption():
    straight, resumed = TailProof(), TailProof()
    for i in range(20):
        for p in (straight, resumed):
            p.observe(i % 2, 11, i % 5, 40)
        resumed = TailProof.from_state(json.loads(json.dumps(resumed.state())))
    assert (resumed.state(), resumed.evidence()) == (straight.state(), straight.evidence())
