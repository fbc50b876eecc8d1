import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core import step_tally
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem
from guard.core.objectives import ErrorObjective, LatencyObjective, judge_ratio
from guard.core.rule import ALPHA, Rule, RuleSettings
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict


def _rule(min_requests=20, weight=50, **chosen):
    rule = Rule(RuleSettings(**chosen))
    rule.start_step(0.0, weight, 300.0, min_requests)
    return rule


def _probe(i, at, arm, outcome=Outcome.OK, ttft=0.2):
    return RequestSample(
        f"{arm}-{at}",
        Source.PROBE,
        arm,
        pair_id=str(at),
        replica=f"{arm}-pod",
        scheduled_at=at,
        first_token_at=at + ttft if outcome is Outcome.OK else None,
        finished_at=at + ttft + 0.5,
        outcome=outcome,
    )


def _probes(count, every=2.0, bad=(), ttft=0.2, start=0.0):
    for i in range(count):
        at = start + every * i
        yield _probe(i, at, Arm.BASELINE)
        yield _probe(i, at, Arm.CANARY, Outcome.ERROR if i in bad else Outcome.OK, ttft)


def _by_name(judgement):
    return {check.name: check for check in judgement.checks}


def test_no_canary_traffic_is_no_data_during_the_step_and_at_its_end():
    rule = _rule(objectives=(LatencyObjective("ttft", 0.95, 1.0), ErrorObjective(0.01)))
    rule.add_samples(_probe(i, 2.0 * i, Arm.BASELINE) for i in range(50))
    assert rule.judge(100.0).verdict is Verdict.NO_DATA
    assert rule.judge_step_end(300.0).verdict is Verdict.NO_DATA
    assert Rule(RuleSettings()).judge(5.0).verdict is Verdict.NO_DATA


def test_too_few_requests_are_inconclusive_and_say_how_many_are_missing():
    rule = _rule(min_requests=100)
    rule.add_samples(_probes(40))
    judgement = rule.judge(80.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.deciding.name == "canary-traffic"
    assert "40 of 100 canary requests: about 60 more, about 120 s at this rate" in judgement.deciding.reason


def test_healthy_canary_passes_with_every_check_stating_its_figures():
    rule = _rule(objectives=(LatencyObjective("ttft", 0.95, 1.0), ErrorObjective(0.05)))
    rule.add_samples(_probes(100))
    judgement = rule.judge_step_end(205.0)
    assert judgement.verdict is Verdict.PASS
    assert judgement.deciding is None
    assert judgement.evidence < 1 / ALPHA == judgement.threshold
    checks = _by_name(judgement)
    assert {"objective-ttft-p95", "objective-errors", "errors-live", "ttft-live"} <= checks.keys()
    assert checks["errors-live"].samples == 100
    assert checks["errors-live"].window_seconds == 205.0
    assert "would have been found with probability 80 %" in checks["errors-live"].reason
    for check in judgement.checks:
        assert None not in (check.value, check.limit, check.samples, check.window_seconds), check.name


def test_dead_canary_fails_at_once_and_stays_failed():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_samples(_probes(8, bad=range(8), start=60.0))
    judgement = rule.judge(76.0)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.deciding.signal == "hard_limit"
    rule.add_samples(_probes(100, start=80.0))
    assert rule.judge(400.0).verdict is Verdict.FAIL


def test_streams_that_have_begun_stand_beside_errors_that_came_fast():
    """Of eleven requests six failed at once, and of those under way twenty are already answering."""

    def judged(answering):
        rule = _rule()
        rule.add_samples(_probes(30))
        rule.add_samples(
            replace(s, source=Source.USER, request_id=f"u-{s.request_id}")
            for s in _probes(11, every=1.0, bad=range(6), start=60.0)
        )
        rule.add_samples(
            replace(
                _probe(i, 60.0 + i / 4, Arm.CANARY),
                request_id=f"open-{i}",
                source=Source.USER,
                finished_at=None,
                outcome=None,
            )
            for i in range(answering)
        )
        return rule.judge(73.0).verdict

    assert judged(0) is Verdict.FAIL
    assert judged(20) is not Verdict.FAIL


def test_a_canary_that_hangs_fails_within_seventy_seconds_of_its_first_lost_request():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_samples(_probe(i, 2.0 * i, Arm.BASELINE) for i in range(30, 80))
    hung = [replace(_probe(i, 2.0 * i, Arm.CANARY), first_token_at=None, outcome=None) for i in range(30, 38)]
    rule.add_samples(hung)  # eight at most are in flight
    verdicts = {now: rule.judge(now) for now in (119.0, 130.0)}
    assert verdicts[119.0].verdict is not Verdict.FAIL
    assert verdicts[130.0].verdict is Verdict.FAIL
    assert "6 of 6 canary requests bad in 20 s" in verdicts[130.0].deciding.reason
    rule.add_samples(replace(s, outcome=Outcome.TIMEOUT, finished_at=s.scheduled_at + 60.1) for s in hung)
    assert _by_name(rule.judge(140.0))["errors-live"].samples == 38


def test_a_hang_in_flight_survives_a_restart():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_samples([replace(_probe(30, 60.0, Arm.CANARY), first_token_at=None, outcome=None)])
    rule.add_samples([_probe(30, 60.0, Arm.BASELINE)])
    resumed = Rule.from_state(RuleSettings(), json.loads(json.dumps(rule.state())))
    assert resumed.judge(130.0) == rule.judge(130.0)


def test_a_pass_that_looks_like_a_failure_says_first_that_it_is_not_decided_yet():
    rule = _rule(objectives=(ErrorObjective(0.01),))
    rule.add_samples(_probes(30, bad=(28,)))
    checks = _by_name(rule.judge_step_end(62.0))
    for name in ("errors-live", "objective-errors"):
        assert checks[name].verdict is Verdict.PASS
        assert checks[name].undecided
        assert checks[name].reason.startswith("not decided yet: 1 of 30 canary requests"), checks[name].reason
    assert not checks["ttft-live"].undecided


def test_a_share_at_the_hard_limit_of_too_few_requests_is_not_decided_yet():
    rule = _rule()
    rule.add_samples(_probes(2, bad=(0, 1)))
    hard = _by_name(rule.judge(4.0))["hard-limits"]
    assert (hard.verdict, hard.value, hard.undecided) == (Verdict.PASS, 1.0, True)


def test_excess_of_errors_fails_by_evidence_and_names_the_signal():
    rule = _rule()
    rule.add_samples(_probes(150, bad=range(0, 150, 4)))
    judgement = rule.judge(300.0)
    assert judgement.verdict is Verdict.FAIL
    assert not judgement.deciding.reason.startswith("not decided yet")
    assert "undecided" not in judgement.deciding.detail
    assert judgement.deciding.signal == "errors"
    assert judgement.deciding.evidence >= judgement.deciding.threshold
    assert judgement.evidence >= judgement.threshold
    assert "slower" not in _by_name(judgement)["ttft-live"].reason  # errors decided; TTFT is as good


def test_a_step_is_not_left_on_evidence_of_harm_short_of_a_fail():
    """A few canary requests bad, of many of the baseline none: held, until good ones outweigh them."""

    def block(arm, start, requests, bad=0):
        errors = {"400": bad} if bad else {}
        return CounterBlock(Source.USER, arm, f"chat-{arm}", start, 2.0, requests, errors)

    rule = _rule(min_requests=8)
    for i in range(200):
        bad = int(i in (2, 5, 8))
        rule.add_blocks([block(Arm.BASELINE, 2.0 * i, 2), block(Arm.CANARY, 2.0 * i, 1, bad)])
        if i == 20:
            assert rule.judge(42.0).verdict is Verdict.PASS
            held = rule.judge_step_end(42.0)
            assert (held.verdict, held.deciding.name) == (Verdict.INCONCLUSIVE, "errors-live")
            assert "more canary requests" in held.deciding.reason
    assert rule.judge_step_end(400.0).verdict is Verdict.PASS


def test_a_step_is_not_left_while_its_last_bad_seconds_are_not_compared_yet():
    def blocks(start, count, bad):
        for i in range(count):
            for arm, errors in ((Arm.CANARY, {"500": bad} if bad else {}), (Arm.BASELINE, {})):
                yield CounterBlock(Source.USER, arm, f"chat-{arm}", start + i, 1.0, 2, errors)

    rule = _rule()
    rule.add_blocks(blocks(0.0, 40, 0))
    rule.add_blocks(blocks(40.0, 19, 1))
    held = rule.judge_step_end(59.0)
    assert (held.verdict, held.deciding.name) == (Verdict.INCONCLUSIVE, "errors-live")
    assert "which are not compared yet" in held.deciding.reason
    assert rule.judge(59.0).verdict is Verdict.PASS


def test_errors_of_both_arms_do_not_fail():
    rule = _rule()
    rule.add_samples(_probes(150, bad=range(0, 150, 4)))
    rule.add_samples(
        replace(s, request_id="b" + s.request_id, outcome=Outcome.ERROR if i % 4 == 0 else Outcome.OK)
        for i, s in enumerate(_probe(i, 2.0 * i, Arm.BASELINE) for i in range(150))
    )
    assert rule.judge(300.0).verdict is not Verdict.FAIL


def test_canary_errors_beside_a_silent_baseline_hold_and_do_not_fail():
    rule = _rule(weight=100)
    rule.add_samples(_probe(i, -120.0 + 2 * i, Arm.BASELINE) for i in range(50))
    blocks = [CounterBlock(Source.USER, Arm.CANARY, "c", 100 + 6.0 * i, 2.0, 4, {"502": 4}) for i in range(8)]
    rule.add_blocks(blocks)
    judgement = rule.judge(160.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "baseline was not seen" in judgement.deciding.reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": -1},
        {"requests": 10**30},
        {"errors": {"500": -3}},
        {"start": float("nan")},
        {"seconds": -1.0},
    ],
)
def test_counters_that_cannot_be_are_dropped_and_counted(wrong):
    rule = _rule()
    rule.add_blocks([replace(CounterBlock(Source.USER, Arm.CANARY, "c", 1.0, 2.0, 4, {"500": 4}), **wrong)])
    assert rule.judge(5.0).verdict is Verdict.NO_DATA
    assert rule.dropped == {"blocks": 1}


def test_two_restarts_in_a_step_fail():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_events(PodEvent(at, Arm.CANARY, "pod", "restart", "") for at in (5.0, 9.0))
    deciding = rule.judge(60.0).deciding
    assert (deciding.name, deciding.value, deciding.limit) == ("hard-limits", 2, 1)
    assert deciding.window_seconds == 60.0


def test_slow_canary_fails_by_paired_probes_with_the_effect_in_the_reason():
    rule, rng = _rule(), np.random.default_rng(3)
    for i in range(140):
        both = 0.2 * np.exp(rng.normal(0, 0.2, 2))
        at = 2.0 * i
        rule.add_samples(
            [
                _probe(i, at, Arm.BASELINE, ttft=both[0]),
                _probe(i, at, Arm.CANARY, ttft=4 * both[1]),
            ]
        )
    judgement = rule.judge(285.0)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.deciding.signal == "ttft"
    low, high = judgement.deciding.detail["interval_95"]
    assert low < 4 < high


def test_lost_items_fail_online():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_pairs(PairedItem(str(i), True, i % 3 > 0) for i in range(90))
    judgement = rule.judge(60.0)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.deciding.signal == "quality"


def test_breached_objective_fails_at_the_end_of_the_step_only():
    rule = _rule(objectives=(LatencyObjective("ttft", 0.95, 0.1),))
    rule.add_samples(s for s in _probes(60) if s.arm is Arm.CANARY)
    assert rule.judge(120.0).verdict is Verdict.PASS
    judgement = rule.judge_step_end(120.0)
    assert judgement.verdict is Verdict.FAIL
    assert judgement.deciding.name == "objective-ttft-p95"
    assert judgement.deciding.window_seconds == 120.0


def test_a_held_step_of_a_thousand_ticks_judges_an_objective_once(monkeypatch):
    judged = []
    monkeypatch.setattr(
        step_tally, "judge_ratio", lambda *args, **kw: judged.append(1) or judge_ratio(*args, **kw)
    )
    rule = _rule(objectives=(ErrorObjective(0.05),))
    rule.add_samples(_probes(60))
    ticks = [rule.judge_step_end(120.0 + tick) for tick in range(1000)]
    assert len(judged) == 1
    assert {_by_name(tick)["objective-errors"].window_seconds for tick in ticks} == {120.0}
    rule.start_step(2000.0, 60, 300.0, 20)
    assert _by_name(rule.judge_step_end(2001.0))["objective-errors"].verdict is Verdict.NO_DATA


def test_what_an_objective_was_found_to_be_survives_a_restart():
    wanted = (LatencyObjective("ttft", 0.95, 1.0),)
    rule = _rule(objectives=wanted)
    rule.add_samples(_probes(60))
    judgement = rule.judge_step_end(120.0)
    resumed = Rule.from_state(RuleSettings(wanted), json.loads(json.dumps(rule.state())))
    resumed.add_samples(_probes(40, start=120.0, ttft=5.0))
    found = _by_name(resumed.judge_step_end(220.0))["objective-ttft-p95"]
    assert found == _by_name(judgement)["objective-ttft-p95"]


def test_non_inferior_wants_proof_that_a_short_step_cannot_give():
    rule = _rule(policy="NonInferior")
    rule.add_samples(_probes(100))
    judgement = rule.judge_step_end(205.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.deciding.name == "ttft-non-inferior"


def test_non_inferior_never_passes_without_a_latency_to_compare():
    rule = _rule(policy="NonInferior")
    for i in range(400):
        for arm in Arm:
            rule.add_blocks([CounterBlock(Source.USER, arm, str(arm), 2.0 * i, 2.0, 4)])
    judgement = rule.judge_step_end(801.0)
    assert (judgement.verdict, judgement.deciding.name) == (Verdict.INCONCLUSIVE, "ttft-non-inferior")


def test_counts_and_restarts_begin_again_with_a_step():
    rule = _rule()
    rule.add_samples(_probes(30))
    rule.add_events([PodEvent(5.0, Arm.CANARY, "pod", "restart", "")])
    rule.start_step(100.0, 60, 300.0, 20)
    rule.add_events([PodEvent(105.0, Arm.CANARY, "pod", "restart", "")])
    assert rule.judge(110.0).verdict is Verdict.NO_DATA


def test_rule_resumed_from_json_goes_on_with_the_same_numbers():
    rule = _rule(objectives=(ErrorObjective(0.01),))
    rule.add_samples(_probes(60, bad=range(0, 60, 7)))
    rule.add_events([PodEvent(5.0, Arm.CANARY, "pod", "restart", "")])
    rule.add_pairs([PairedItem("a", True, False)])
    rule.judge(100.0)
    resumed = Rule.from_state(RuleSettings((ErrorObjective(0.01),)), json.loads(json.dumps(rule.state())))
    for one in (rule, resumed):
        one.add_samples(_probes(30, bad=range(0, 30, 7), start=120.0))
    assert resumed.judge_step_end(200.0) == rule.judge_step_end(200.0)


def test_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 0"):
        Rule.from_state(RuleSettings(), {"version": 0})


_ORDER = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.FAIL]


@settings(deadline=None, max_examples=25)
@given(bad=st.sets(st.integers(0, 59)), more=st.integers(0, 59), min_requests=st.integers(1, 100))
def test_turning_a_good_canary_request_bad_never_improves_the_verdict(bad, more, min_requests):
    def verdict(failed):
        rule = _rule(min_requests=min_requests, objectives=(ErrorObjective(0.02),))
        rule.add_samples(_probes(60, every=3.0, bad=failed))
        return rule.judge_step_end(190.0).verdict

    assert _ORDER.index(verdict(bad | {more})) >= _ORDER.index(verdict(bad))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(list(Outcome)), max_size=60), st.integers(0, 50))
def test_without_canary_requests_nothing_passes_or_fails(outcomes, min_requests):
    rule = _rule(min_requests=min_requests)
    rule.add_samples(_probe(i, 2.0 * i, Arm.BASELINE, outcome) for i, outcome in enumerate(outcomes))
    for judgement in (rule.judge(150.0), rule.judge_step_end(150.0)):
        assert judgement.verdict is Verdict.NO_DATA
