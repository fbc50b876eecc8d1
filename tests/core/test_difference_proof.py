import json
import math

import numpy as np
import pytest

from guard.core.difference_proof import DifferenceProof
from guard.core.promotion import PROVEN

MACHINE, WANDER, NOISE = 2 * 0.0275**2, 2 * 0.06**2, 0.15**2  # one replica against one, 10 s bins


def _differences(ratio, bins, seed):
    rng, phi = np.random.default_rng(seed), math.exp(-10 / 120)
    wander, machine = rng.normal(0, math.sqrt(WANDER)), rng.normal(0, math.sqrt(MACHINE))
    for _ in range(bins):
        yield math.log(ratio) + machine + wander + rng.normal(0, math.sqrt(NOISE))
        wander = phi * wander + rng.normal(0, math.sqrt(WANDER * (1 - phi**2)))


def _trace(ratio, bins=90, seed=1):
    proof = DifferenceProof()
    proof.start_step(MACHINE, WANDER)
    for d in _differences(ratio, bins, seed):
        proof.observe(d, NOISE, 1.15)
        proof.end_bin(WANDER)
        yield proof.evidence()


def _proven(ratio, rollouts, **kwargs):
    return sum(max(_trace(ratio, seed=seed, **kwargs)) >= PROVEN for seed in range(rollouts))


def test_nothing_seen_proves_nothing():
    assert DifferenceProof().evidence() == 1


def test_canary_as_good_is_proven_within_a_step_of_15_minutes():
    assert _proven(1.0, 30) >= 24


def test_canary_worse_by_the_margin_is_hardly_ever_proven():
    assert _proven(1.25, 100) <= 5  # 5 % is the bound
    assert _proven(1.4, 50) == 0


def test_mean_evidence_at_the_margin_is_at_most_1():
    finals = [list(_trace(1.25, bins=30, seed=seed))[-1] for seed in range(200)]
    assert np.mean(finals) - 2 * np.std(finals) / math.sqrt(len(finals)) < 1


@pytest.mark.parametrize("spike", [1.0, 3.0, 10.0])
def test_slow_spell_never_helps(spike):
    proof, calm = DifferenceProof(), DifferenceProof()
    for p in (proof, calm):
        p.start_step(MACHINE, WANDER)
    for i in range(60):
        proof.observe(spike if i == 5 else 0.0, NOISE, 1.15)
        calm.observe(0.0, NOISE, 1.15)
        for p in (proof, calm):
            p.end_bin(WANDER)
    assert proof.evidence() < calm.evidence()


def test_one_very_fast_bin_proves_nothing():
    proof = DifferenceProof()
    proof.start_step(MACHINE, WANDER)
    proof.observe(-20.0, NOISE, 1.15)
    assert proof.evidence() < PROVEN


def test_another_step_starts_again():
    proof = DifferenceProof()
    proof.start_step(MACHINE, WANDER)
    proof.observe(-0.2, NOISE, 1.15)
    proof.start_step(MACHINE, WANDER)
    assert proof.evidence() == 1


def test_resume_equals_no_interruption():
    straight, resumed = DifferenceProof(), DifferenceProof()
    for p in (straight, resumed):
        p.start_step(MACHINE, WANDER)
    for d in _differences(1.1, 20, 3):
        for p in (straight, resumed):
            p.observe(d, NOISE, 1.15)
            p.end_bin(WANDER)
        resumed = DifferenceProof.from_state(json.loads(json.dumps(resumed.state())))
    assert resumed.state() == straight.state()
    assert resumed.evidence() == straight.evidence()
