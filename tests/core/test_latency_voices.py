"""Which sources speak for a latency, and what the verdict says by histograms."""

import json

import pytest

from guard.core.blocks import PodEvent
from guard.core.rule import Rule, RuleSettings
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict
from tests.core.test_histogram_evidence import blocks


def _rule(replicas=1, **settings):
    rule = Rule(RuleSettings(**settings))
    rule.add_histograms(blocks(120, start=-120.0, replicas=replicas, seed=9))
    rule.start_step(0.0, 50, 300.0, 20, 1, replicas)
    return rule


def _requests(source, *, seconds=200, slower=1.0, pairs=False):
    """Two a second and arm."""
    for i in range(2 * seconds):
        for arm in Arm:
            ttft = (0.2 + 0.02 * (i % 5)) * (slower if arm is Arm.CANARY else 1.0)
            yield RequestSample(
                f"{source}-{arm}-{i}",
                source,
                arm,
                pair_id=str(i) if pairs else None,
                replica=f"{arm}-0",
                sent_at=i / 2,
                first_token_at=i / 2 + ttft,
                finished_at=i / 2 + 1.0,
                outcome=Outcome.OK,
            )


def _ttft(judgement):
    return next(check for check in judgement.checks if check.signal == "ttft")


def test_histograms_alone_roll_back_and_say_what_buckets_cannot_show():
    rule = _rule()
    rule.add_histograms(blocks(300, slower=2.5))
    judgement = rule.judge(300.0)
    check = _ttft(judgement)
    assert (judgement.verdict, judgement.deciding) == (Verdict.FAIL, check)
    assert "p95 1-2.5 s, baseline 0.5-0.75 s, and no change within a bucket" in check.reason
    assert check.detail["p95_between"] == {"canary": [1.0, 2.5], "baseline": [0.5, 0.75]}
    assert check.value == pytest.approx(2.5, rel=0.2)
    assert check.samples == 300


def test_a_tail_above_the_last_edge_has_no_upper_one():
    rule = _rule()
    rule.add_histograms(blocks(300, slower=40.0))
    check = _ttft(rule.judge(300.0))
    assert "p95 above 5 s" in check.reason
    assert check.detail["p95_between"]["canary"] == [5.0, None]
    json.dumps(check.to_json(), allow_nan=False)


@pytest.mark.parametrize("replicas", [1, 8])
def test_requests_one_by_one_and_histograms_are_two_e_values_and_their_mean(replicas):
    """Users' requests show nothing, the histograms much; neither is fed to the other."""
    both, alone = _rule(replicas), _rule(replicas)
    both.add_samples(_requests(Source.USER))
    for rule in (both, alone):
        rule.add_histograms(blocks(200, slower=2.5, replicas=replicas))
    loud, mean = (_ttft(rule.judge(200.0)) for rule in (alone, both))
    assert loud.evidence > 100
    assert loud.evidence / 2 <= mean.evidence <= loud.evidence / 2 + 1
    assert "by histograms" in mean.reason


def test_requests_one_by_one_speak_while_histograms_are_not_loud():
    rule = _rule()
    rule.add_samples(_requests(Source.USER))
    rule.add_histograms(blocks(200))
    check = _ttft(rule.judge(200.0))
    assert "by histograms" not in check.reason
    assert "p95_between" not in check.detail


def test_a_large_fleets_pairs_speak_in_its_first_step():
    """They once waited for the next step, whose beginning alone closed their bins."""
    rule = Rule(RuleSettings())
    rule.start_step(0.0, 50, 300.0, 20, 1, 8)
    for sample in _requests(Source.PROBE, slower=3.0, pairs=True):
        rule.add_samples([sample])
        if sample.sent_at % 10 == 0:
            rule.judge(sample.sent_at)
    assert _ttft(rule.judge(200.0)).evidence > 100


def test_a_cold_replicas_histograms_are_left_out():
    rule = _rule(warm_up_seconds=300.0)
    rule.add_events([PodEvent(0.0, Arm.CANARY, "canary-0", "ready", "")])
    rule.add_histograms(blocks(300, slower=5.0))
    rule.judge(300.0)
    assert rule.dropped == {"histograms of cold replicas": 30}


def test_resumed_rule_goes_on_with_the_same_numbers():
    news = list(blocks(240, slower=1.4))
    whole = _rule()
    whole.add_histograms(news[:20])
    whole.judge(95.0)
    resumed = Rule.from_state(RuleSettings(), json.loads(json.dumps(whole.state())))
    for rule in (whole, resumed):
        rule.add_histograms(news[20:])
    assert resumed.judge(240.0) == whole.judge(240.0)


def test_state_before_histograms_is_refused_by_its_version():
    with pytest.raises(ValueError, match="version 3, expected 5"):
        Rule.from_state(RuleSettings(), {**_rule().state(), "version": 3})
