import numpy as np
import pytest

from guard.core.promotion import PROVEN
from guard.core.quality_proof import QualityProof


def _proof(drop, items=600, differ=0.05, seed=1):
    """The highest evidence; of `differ` of the items each arm alone passes, and `drop` more are lost."""
    rng, proof, highest = np.random.default_rng(seed), QualityProof(), 1.0
    for u in rng.random(items):
        lost, won = u < differ + drop, u > 1 - differ
        proof.add(bool(not won), bool(not lost))
        highest = max(highest, proof.evidence())
    return highest


def test_nothing_asked_proves_nothing():
    assert QualityProof().evidence() == 1


def test_equal_quality_is_proven_and_a_loss_of_7_points_is_not():
    assert sum(_proof(0.0, seed=s) >= PROVEN for s in range(20)) >= 18
    assert sum(_proof(0.07, seed=s) >= PROVEN for s in range(60)) <= 6  # 5 % is the bound
    assert sum(_proof(0.12, seed=s) >= PROVEN for s in range(30)) == 0


@pytest.mark.parametrize(
    ("pairs", "grows"), [((1, 1), True), ((0, 0), True), ((0, 1), True), ((1, 0), False)]
)
def test_what_each_answer_does(pairs, grows):
    proof = QualityProof()
    proof.add(bool(pairs[0]), bool(pairs[1]))
    assert (proof.evidence() > 1) is grows


def test_resume_equals_no_interruption():
    proof = QualityProof()
    proof.add(True, True)
    resumed = QualityProof(proof.wealth)
    for p in (proof, resumed):
        p.add(True, False)
    assert resumed.wealth == proof.wealth
