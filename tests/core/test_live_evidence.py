import json

import numpy as np

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.live_evidence import EARLY_BATCHES, LARGE_FLEET, SMALL_FLEET, LiveEvidence
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict


def _requests(seconds, *, source=Source.USER, slower=1.0, bad=0.0, replicas=(1, 1), start=0.0, seed=1):
    """Two requests a second and arm, each on one of its replicas, in order of time."""
    rng = np.random.default_rng(seed)
    for i in range(int(2 * seconds)):
        for arm, count in zip((Arm.CANARY, Arm.BASELINE), replicas, strict=True):
            at = start + i / 2
            canary = arm is Arm.CANARY
            ttft = 0.2 * rng.lognormal(0, 0.3) * (slower if canary else 1.0)
            failed = canary and rng.random() < bad
            yield RequestSample(
                f"{source}-{arm}-{at}",
                source,
                arm,
                replica=f"{arm}-{i % count}",
                sent_at=at,
                first_token_at=None if failed else at + ttft,
                itl_mean_seconds=None if failed else 0.02 * rng.lognormal(0, 0.2),
                finished_at=at + 1.0,
                outcome=Outcome.ERROR if failed else Outcome.OK,
            )


def _live(replicas=(1, 1), weight=50):
    live = LiveEvidence(1800.0, 180.0)
    live.add_samples(s for s in _requests(120, start=-120.0, seed=9) if s.arm is Arm.BASELINE)
    live.start_step(0.0, weight, *replicas)
    return live


def _evidence(live, now):
    live.advance(now)
    return live.e_values(now)


def test_before_the_first_step_nothing_is_compared():
    live = LiveEvidence(1800.0, 180.0)
    live.add_samples(_requests(120, slower=3.0, bad=0.5))
    assert set(_evidence(live, 120.0).values()) == {1.0}


def test_history_held_back_until_the_step_teaches_what_is_usual():
    live = _live()
    live.add_samples(_requests(60, slower=3.0))
    without = LiveEvidence(1800.0, 180.0)
    without.start_step(0.0, 50, 1, 1)
    without.add_samples(_requests(60, slower=3.0))
    assert _evidence(live, 60.0)["ttft"] > 2 * _evidence(without, 60.0)["ttft"]


def test_a_signal_that_is_worse_speaks_and_the_others_do_not():
    slow, failing = _live(), _live()
    slow.add_samples(_requests(120, slower=3.0))
    failing.add_samples(_requests(120, bad=0.3))
    found = _evidence(slow, 130.0)
    assert found["ttft"] > 555 > 5 > max(found["itl"], found["errors"])
    found = _evidence(failing, 130.0)
    assert found["errors"] > 317 > 5 > max(found["itl"], found["ttft"])


def test_the_first_steps_fleet_decides_how_latency_is_judged():
    small, large = _live((1, 7)), _live((1, 8))
    assert (small.weights, large.weights) == (SMALL_FLEET, LARGE_FLEET)
    for live, count in ((small, 7), (large, 8)):
        live.add_samples(_requests(300, slower=3.0, replicas=(1, count)))
        assert _evidence(live, 300.0)["ttft"] > 20
    large.start_step(300.0, 60, 4, 4)
    assert large.weights == LARGE_FLEET


def test_sources_are_not_mixed():
    """Users' requests see no error, the gateway's counters many: the mean of two e-values, not one sum."""
    live = _live()
    live.add_samples(_requests(120, source=Source.ACCESS_LOG))
    for i in range(60):
        for arm, bad in ((Arm.CANARY, 1), (Arm.BASELINE, 0)):
            errors = {"500": bad} if bad else {}
            live.add_blocks([CounterBlock(Source.USER, arm, f"chat-{arm}", 2.0 * i, 2.0, 4, errors)])
    apart = {source: evidence.evidence(130.0) for source, evidence in live.errors.items()}
    assert _evidence(live, 130.0)["errors"] == sum(apart.values()) / len(apart)
    assert apart[Source.USER] > 100 > 2 > apart[Source.ACCESS_LOG]


def test_latency_of_probes_counts_in_pairs_only():
    live = _live()
    live.add_samples(_requests(120, source=Source.PROBE, slower=3.0))
    assert _evidence(live, 130.0)["ttft"] < 2


def test_a_cold_replicas_latency_is_left_out_and_its_errors_are_not():
    live = _live()
    live.add_event(PodEvent(0.0, Arm.CANARY, "canary-0", "ready", ""))
    live.add_samples(_requests(120, slower=5.0, bad=0.3))
    found = _evidence(live, 130.0)
    assert found["ttft"] < 2
    assert found["errors"] > 100
    assert live.cold > 100


def test_resumed_evidence_goes_on_with_the_same_numbers_even_before_the_first_step():
    requests = list(_requests(90, slower=1.5, bad=0.02, start=-60.0))
    cuts = [s for s in requests if s.sent_at < -20], [s for s in requests if s.sent_at >= -20]
    whole = LiveEvidence(1800.0, 180.0)
    whole.add_samples(cuts[0])
    whole.add_blocks([CounterBlock(Source.USER, Arm.BASELINE, "b", -30.0, 2.0, 5, {"500": 1})])
    resumed = LiveEvidence.from_state(1800.0, 180.0, json.loads(json.dumps(whole.state())))
    for live in (whole, resumed):
        live.start_step(0.0, 50, 1, 1)
        live.add_samples(cuts[1][:50])
        live.advance(5.0)
    again = LiveEvidence.from_state(1800.0, 180.0, json.loads(json.dumps(resumed.state())))
    for live in (whole, again):
        live.add_samples(cuts[1][50:])
    assert _evidence(whole, 40.0) == _evidence(again, 40.0)


def test_history_that_is_held_back_is_bounded_whoever_tells_it():
    live = LiveEvidence(1800.0, 180.0)
    for i in range(EARLY_BATCHES + 10):
        live.add_blocks([CounterBlock(Source.USER, Arm.BASELINE, "b", float(i), 1.0, 1)])
    assert len(live.state()["early"]) == EARLY_BATCHES


def test_impossible_requests_are_counted():
    live = _live()
    live.add_samples([RequestSample("x", Source.USER, Arm.CANARY, sent_at=float("nan"))])
    assert live.dropped == {"not finite": 1}


def test_traffic_that_does_not_follow_the_weight_is_said():
    rng = np.random.default_rng(4)

    def check(canary_share):
        live = _live(weight=50)
        for i in range(300):
            canary = int(rng.binomial(20, canary_share))
            for arm, count in ((Arm.CANARY, canary), (Arm.BASELINE, 20 - canary)):
                live.add_blocks([CounterBlock(Source.USER, arm, str(arm), 2.0 * i, 2.0, count)])
        return live.sample_ratio.check(600.0)

    assert check(0.5).verdict is Verdict.PASS
    wrong = check(0.25)
    assert wrong.verdict is Verdict.INCONCLUSIVE
    assert "the route says 50 %, the canary got 25" in wrong.reason
