"""A recorded rollout judged again: actions, when, and that a decision knows nothing of what followed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.blocks import PodEvent
from guard.core.replay import replay, ticks
from guard.core.rollout import RecordedStep, ReplaySettings, Rollout
from guard.core.samples import Arm, Source
from guard.core.verdict import Verdict
from tests.core.recorded import STEPS, cut_off, evals, log, rollout

KEYS = ["verdict", "action", "at_seconds", "signal", "effect", "evidence", "timeline"]


def test_a_good_canary_is_promoted_at_the_end_and_not_before():
    found = replay(rollout())
    assert (found.verdict, found.action, found.at_seconds) == (Verdict.PASS, "PROMOTE", 200.0)
    assert (found.signal, found.effect, found.exit_code) == (None, None, 0)


def test_a_dead_canary_is_rolled_back_by_a_hard_limit_within_seconds():
    found = replay(rollout(fails_from=50.0))
    assert (found.verdict, found.action, found.signal) == (Verdict.FAIL, "ROLLBACK", "hard_limit")
    assert 50.0 < found.at_seconds <= 65.0
    assert found.exit_code == 1
    assert found.timeline[-1].at_seconds == found.at_seconds


def test_no_canary_traffic_is_no_data_and_holds():
    found = replay(rollout(canary=False))
    assert (found.verdict, found.action, found.at_seconds) == (Verdict.NO_DATA, "HOLD", 200.0)
    assert found.exit_code == 2


def test_an_empty_rollout_is_no_data():
    found = replay(Rollout(STEPS, 200.0))
    assert (found.verdict, found.action) == (Verdict.NO_DATA, "HOLD")
    assert found.evidence["requests"] == {"canary": 0, "baseline": 0}


def test_too_few_requests_hold():
    found = replay(rollout(settings=ReplaySettings(min_requests=500)))
    assert (found.verdict, found.action) == (Verdict.INCONCLUSIVE, "HOLD")
    assert "of 500 canary requests" in found.words


def test_a_steps_own_minimum_goes_before_the_settings():
    steps = (STEPS[0], replace(STEPS[1], min_requests=500))
    assert replay(rollout(steps=steps)).action == "HOLD"


@pytest.mark.parametrize("event", ["oom", "fingerprint"])
def test_an_event_of_the_canary_rolls_back_at_the_next_tick(event):
    events = (PodEvent(31.0, Arm.CANARY, "c-0", event, "what happened"),)
    found = replay(rollout(events=events))
    assert (found.action, found.at_seconds, found.signal) == ("ROLLBACK", 35.0, "hard_limit")


def test_lost_eval_items_roll_back_by_quality():
    items = evals([(float(i), True, i % 3 == 0) for i in range(1, 190)])
    found = replay(rollout(evals=items))
    assert (found.action, found.signal) == ("ROLLBACK", "quality")
    assert found.evidence["combined"] >= found.evidence["threshold"]


def test_a_smaller_alpha_decides_later_and_a_larger_one_sooner():
    items = evals([(float(i), True, i % 3 == 0) for i in range(1, 190)])
    times = [
        replay(rollout(evals=items, settings=ReplaySettings(alpha=alpha, min_requests=20))).at_seconds
        for alpha in (0.1, 0.009, 0.0001)
    ]
    assert times == sorted(set(times))


def test_the_document_has_the_keys_that_others_build_on_and_is_json():
    document = replay(rollout(fails_from=50.0)).to_json()
    assert list(document) == KEYS
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["effect"]["reason"]
    evidence = document["evidence"]
    assert evidence["replicas"] == {"baseline": 1, "canary": 1}
    assert evidence["settings"]["minRequests"] == [20, 20]


def test_what_was_dropped_is_in_the_evidence():
    found = replay(rollout(dropped={"requests: request_id repeated": 3}))
    assert found.evidence["dropped"] == {"requests: request_id repeated": 3}


def test_ticks_are_every_five_seconds_with_the_steps_own_moments():
    odd = Rollout((RecordedStep(0.0, 5), RecordedStep(7.5, 25)), 12.0)
    assert ticks(odd) == [0.0, 5.0, 7.5, 10.0, 12.0]
    assert ticks(Rollout((RecordedStep(0.0, 5),), 10.0)) == [0.0, 5.0, 10.0]


def test_each_tick_is_told_of_as_it_is_judged():
    told = []
    found = replay(rollout(fails_from=50.0), told.append)
    assert tuple(told) == found.timeline
    assert [moment.step for moment in told] == [1] * len(told)


def test_the_end_of_a_step_belongs_to_it():
    steps = {moment.at_seconds: moment.step for moment in replay(rollout()).timeline}
    assert (steps[95.0], steps[100.0], steps[105.0]) == (1, 1, 2)


def _decision(whole):
    document = replay(whole).to_json()
    return json.dumps({key: value for key, value in document.items() if key != "evidence"})


@settings(max_examples=8, deadline=None)
@given(st.floats(0.0, 199.0), st.integers(10, 150))
def test_a_decision_does_not_change_when_the_log_after_it_is_cut_off(at, fails_from):
    whole = rollout(every=2.0, fails_from=float(fails_from), evals=evals([(30.0, True, False)]))
    full, cut = replay(whole), replay(cut_off(whole, at))
    upto = [moment for moment in full.timeline if moment.at_seconds <= at]
    assert list(cut.timeline[: len(upto)]) == upto


def test_who_saw_the_requests_one_by_one_changes_nothing():
    one = rollout(fails_from=50.0)
    two = replace(one, requests={Source.ACCESS_LOG: one.requests[Source.USER]})
    assert _decision(two).replace("access_log", "user") == _decision(one)


def _pairs(ttft_ratio):
    """One pair of probes every 2 s: both arms asked at the same moment."""
    sent = np.repeat(np.arange(0.0, 198.0, 2.0), 2)
    canary = np.tile([False, True], len(sent) // 2)
    ttft = 0.2 * np.where(canary, ttft_ratio, 1.0) * (1 + 0.05 * np.sin(np.arange(len(sent))))
    probes = replace(log(sent, canary, ttft=ttft), pair=(np.arange(len(sent)) // 2).astype(np.int32))
    whole = rollout(canary=False)
    return replace(whole, requests={Source.PROBE: probes})


def test_pairs_of_probes_tell_of_a_slower_canary_without_any_users():
    found = replay(_pairs(2.0))
    assert (found.action in ("ROLLBACK", "HOLD"), found.signal) == (True, "ttft")
    assert found.effect["value"] == pytest.approx(2.0, rel=0.2)
    assert found.timeline[-1].e_values["ttft"] > 20.0


def test_pairs_of_probes_promote_an_equal_canary():
    assert replay(_pairs(1.0)).action == "PROMOTE"


def test_replicas_that_nobody_recorded_are_counted_as_they_are_seen():
    steps = tuple(replace(step, canary_replicas=None, baseline_replicas=None) for step in STEPS)
    assert replay(rollout(steps=steps)).action == "PROMOTE"
