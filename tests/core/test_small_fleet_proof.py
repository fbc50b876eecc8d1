import json
import math

import numpy as np
import pytest

from guard.core.observations import Latencies
from guard.core.promotion import PROVEN
from guard.core.small_fleet_proof import SmallFleetProof


def _seen(seed, slower=1.0, bins=range(-40, 90), load=10.0):
    """One replica each: 12 requests of the canary and 30 of the baseline in a bin of 10 s."""
    rng, wander, rows = np.random.default_rng(seed), np.zeros(2), []
    for b in bins:
        wander = 0.92 * wander + rng.normal(0, 0.02, 2)
        for arm, n in ((0, 30), (1, 12)):
            if arm and b < 0:
                continue
            logs = wander[arm] + rng.normal(0, 0.3, n) + arm * math.log(slower)
            flying = rng.poisson(load if arm else 10.0, n)
            rows.append(np.stack([(b + rng.random(n)) * 10, np.full(n, arm), np.exp(logs), flying]))
    at, arm, seconds, flying = np.concatenate(rows, axis=1)
    return Latencies(at, arm > 0, arm.astype(np.int32), seconds, flying)


def _part(seen, begin, end):
    rows = (seen.at >= begin) & (seen.at < end)
    return Latencies(*(getattr(seen, name)[rows] for name in vars(seen)))


def _highest(seen, signal="ttft"):
    proof, highest = SmallFleetProof(signal, 0.0), {}
    proof.start_step(0.0, 1, 1)
    proof.add(_part(seen, -1e9, 0.0))
    for now in range(10, 901, 10):
        proof.add(_part(seen, now - 10.0, now))
        highest = {k: max(e, highest.get(k, 0)) for k, e in proof.evidence(now).items()}
    return highest


@pytest.mark.parametrize(("signal", "claims"), [("ttft", ["body", "q95"]), ("itl", ["body"])])
def test_canary_as_good_is_proven(signal, claims):
    highest = _highest(_seen(1), signal)
    assert list(highest) == claims
    assert min(highest.values()) >= PROVEN


@pytest.mark.parametrize("slower", [1.25, 1.5])
def test_canary_worse_by_the_margin_is_not_proven(slower):
    assert all(max(_highest(_seen(seed, slower)).values()) < PROVEN for seed in (1, 2, 3))


def test_loads_that_hide_a_slowdown_are_named():
    proof = SmallFleetProof("ttft", 0.0)
    proof.start_step(0.0, 1, 1)
    proof.add(_seen(1, load=0.2))
    proof.evidence(900.0)
    assert proof.load_differs


def test_silence_proves_nothing():
    proof = SmallFleetProof("ttft", 0.0)
    assert proof.evidence(100.0) == {"body": 1, "q95": 1}
    assert proof.evidence(math.nan) == {"body": 1, "q95": 1}


def test_paired_probes_prove_the_body_alone():
    proof, rng = SmallFleetProof("ttft", 0.0), np.random.default_rng(1)
    proof.start_step(0.0, 1, 1)
    proof.add_pairs(np.arange(0.0, 900.0), rng.normal(0, 0.3, 900))
    evidence = proof.evidence(900.0)
    assert evidence["body"] > PROVEN
    assert evidence["q95"] == 1


def test_resume_equals_no_interruption():
    seen = _seen(4, bins=range(-20, 30))
    straight, resumed = SmallFleetProof("ttft", 0.0), SmallFleetProof("ttft", 0.0)
    for now in np.arange(-190.0, 301.0, 37.0):
        for proof in (straight, resumed):
            proof.add(_part(seen, now - 37, now))
        assert straight.evidence(now) == resumed.evidence(now)
        resumed = SmallFleetProof.from_state(json.loads(json.dumps(resumed.state())))
    assert resumed.state() == straight.state()
