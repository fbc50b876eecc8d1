import json

import numpy as np

from guard.core.comparison import PairedItem
from guard.core.live_proofs import LiveProofs
from guard.core.observations import Latencies
from guard.core.verdict import Verdict

START = 0.0


def _feed(proofs, seconds, *, slower=1.0, bad=0.0, seed=3, start=-300.0, itl=True, rate=3):
    """`rate` requests a second and arm, the canary's from the start on; latencies, then ends."""
    rng = np.random.default_rng(seed)
    n = int(rate * (seconds - start))
    for arm in (True, False):
        at = np.sort(rng.uniform(start, seconds, n))
        at = at[at >= START] if arm else at
        count = len(at)
        values = 0.3 * rng.lognormal(0, 0.25, count) * (slower if arm else 1.0)
        replica, load = np.full(count, int(arm), np.int32), np.full(count, np.nan)
        canary = np.full(count, arm)
        proofs.add_latencies("ttft", Latencies(at, canary, replica, values, load))
        if itl:
            proofs.add_latencies("itl", Latencies(at, canary, replica, values / 10, load))
        failed = (rng.random(count) < (bad if arm else 0.0)).astype(float)
        proofs.add_results(at, canary, replica, np.ones(count), failed)


def _proofs(large=False):
    proofs = LiveProofs(START, large)
    proofs.start_step(START, 1, 1)
    return proofs


def _by_name(proofs, now):
    return {check.name: check for check in proofs.checks(now)}


def test_nothing_seen_is_nothing_proven():
    checks = _proofs().checks(600.0)
    assert {check.name for check in checks} == {"ttft-non-inferior", "errors-non-inferior"}
    assert {check.verdict for check in checks} == {Verdict.INCONCLUSIVE}


def test_an_equal_canary_is_proven_in_every_claim_that_its_sources_can_speak_of():
    proofs = _proofs()
    _feed(proofs, 1200.0)
    checks = _by_name(proofs, 1200.0)
    names = {"ttft-non-inferior", "ttft-q95-non-inferior", "itl-non-inferior", "errors-non-inferior"}
    assert checks.keys() == names
    assert {check.verdict for check in checks.values()} == {Verdict.PASS}
    assert all(check.evidence >= 20 and check.samples > 1000 for check in checks.values())


def test_a_canary_worse_by_more_than_a_margin_is_not_proven_in_that_claim():
    slow, failing = _proofs(), _proofs()
    _feed(slow, 1200.0, slower=1.4)
    _feed(failing, 1200.0, bad=0.03)
    assert _by_name(slow, 1200.0)["ttft-non-inferior"].verdict is Verdict.INCONCLUSIVE
    assert _by_name(slow, 1200.0)["errors-non-inferior"].verdict is Verdict.PASS
    assert _by_name(failing, 1200.0)["errors-non-inferior"].verdict is Verdict.INCONCLUSIVE
    assert _by_name(failing, 1200.0)["ttft-non-inferior"].verdict is Verdict.PASS


def test_a_step_proves_anew():
    proofs = _proofs()
    _feed(proofs, 1200.0)
    assert _by_name(proofs, 1200.0)["errors-non-inferior"].verdict is Verdict.PASS
    proofs.start_step(1200.0, 1, 1)
    assert {check.verdict for check in proofs.checks(1210.0)} == {Verdict.INCONCLUSIVE}


def test_quality_is_asked_where_items_are_answered():
    proofs = _proofs()
    proofs.add_items(PairedItem(str(i), True, i % 5 > 0) for i in range(60))
    assert _by_name(proofs, 10.0)["quality-non-inferior"].verdict is Verdict.INCONCLUSIVE


def test_pairs_of_probes_prove_ttft_alone():
    proofs, rng = _proofs(), np.random.default_rng(5)
    at = np.arange(0.0, 1800.0, 2.0)
    proofs.add_pairs(at, rng.normal(0.0, 0.3, len(at)))
    checks = _by_name(proofs, 1800.0)
    assert checks["ttft-non-inferior"].samples == 900
    assert checks["ttft-non-inferior"].evidence > 1
    assert "ttft-q95-non-inferior" not in checks


def test_proofs_resumed_from_json_go_on_with_the_same_numbers():
    whole = _proofs()
    _feed(whole, 200.0)
    whole.checks(100.0)
    resumed = LiveProofs.from_state(json.loads(json.dumps(whole.state())))
    for proofs in (whole, resumed):
        _feed(proofs, 400.0, seed=8, start=200.0)
    assert resumed.checks(400.0) == whole.checks(400.0)
