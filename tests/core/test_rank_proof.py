import json

import numpy as np
import pytest

from guard.core.observations import Latencies
from guard.core.promotion import PROVEN
from guard.core.rank_proof import RankProof


def _seen(seed, slower=1.0, quarters=range(-16, 40), canaries=3, baseline=12, per_quarter=20):
    rng, replicas = np.random.default_rng(seed), baseline + canaries
    wander, rows = rng.normal(0, 0.06, replicas), []
    for quarter in quarters:
        wander = 0.88 * wander + rng.normal(0, 0.03, replicas)
        for replica in range(replicas):
            if quarter < 0 and replica >= baseline:
                continue
            n = int(rng.poisson(per_quarter))
            factor = slower if replica >= baseline else 1.0
            logs = wander[replica] + rng.normal(0, 0.4, n)
            at = (quarter + rng.random(n)) * 15
            rows.append(np.stack([at, np.full(n, replica), factor * np.exp(logs)]))
    at, replica, seconds = np.concatenate(rows, axis=1)
    return Latencies(at, replica >= baseline, replica.astype(np.int32), seconds, np.full(len(at), np.nan))


def _part(seen, begin, end):
    rows = (seen.at >= begin) & (seen.at < end)
    return Latencies(*(getattr(seen, name)[rows] for name in vars(seen)))


def _evidence(seen, signal="ttft", until=600.0):
    proof = RankProof(signal, 0.0)
    proof.start_step(0.0, 3, 12)
    proof.add(_part(seen, -1e9, until))
    return proof.evidence(until)


@pytest.mark.parametrize("signal", ["ttft", "itl"])
def test_canary_as_good_is_proven_on_body_and_tail(signal):
    evidence = _evidence(_seen(1), signal)
    assert list(evidence) == (["body", "q95"] if signal == "ttft" else ["body"])
    assert min(evidence.values()) >= PROVEN


@pytest.mark.parametrize("slower", [1.25, 1.4, 3.0])
def test_canary_worse_by_the_margin_is_not_proven(slower):
    for seed in (1, 2, 3):
        assert max(_evidence(_seen(seed, slower, range(-16, 20)), until=300.0).values()) < PROVEN


def test_silence_proves_nothing():
    proof = RankProof("ttft", 0.0)
    assert proof.evidence(100.0) == {"body": 1, "q95": 1}
    proof.add(_seen(1, canaries=0))
    assert proof.evidence(600.0) == pytest.approx({"body": 1, "q95": 1})


def test_another_step_starts_again():
    seen, proof = _seen(1), RankProof("itl", 0.0)
    proof.add(_part(seen, -1e9, 300.0))
    assert proof.evidence(300.0)["body"] > PROVEN
    proof.start_step(300.0, 3, 12)
    assert proof.evidence(300.0) == {"body": 1}


def test_resume_equals_no_interruption():
    seen = _seen(4, 1.1, range(-8, 16))
    straight, resumed = RankProof("ttft", 0.0), RankProof("ttft", 0.0)
    for now in np.arange(-110.0, 241.0, 41.0):
        for proof in (straight, resumed):
            proof.add(_part(seen, now - 41, now))
        assert straight.evidence(now) == resumed.evidence(now)
        resumed = RankProof.from_state(json.loads(json.dumps(resumed.state())))
    assert resumed.state() == straight.state()
