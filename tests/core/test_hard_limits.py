import json

import numpy as np
import pytest

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.hard_limits import HardLimits, Result
from guard.core.observations import Marks
from guard.core.samples import Arm, Source
from guard.core.verdict import Verdict


def _limits(results=(), events=()):
    limits = HardLimits()
    for result in results:
        limits.add(result)
    for event in events:
        limits.add_event(event)
    return limits


def _one(at, bad, arm=Arm.CANARY, source=Source.PROBE, client=False):
    return Result(at, source, arm, 1, int(bad and not client), int(bad and client), True)


def _healthy(until, source=Source.PROBE, every=2.0, start=0.0):
    return [_one(start + every * i, False, Arm.BASELINE, source) for i in range(int((until - start) / every))]


def _block(at, arm, requests, errors):
    return Result.of_block(CounterBlock(Source.USER, arm, "s", at - 2.0, 2.0, requests, errors))


def test_dead_canary_beside_a_healthy_baseline_fails_at_the_fifth_error():
    errors = [_one(80.0 + i, True) for i in range(5)]
    assert _limits(_healthy(90) + errors[:4]).judge(84.0).verdict is Verdict.PASS
    check = _limits(_healthy(90) + errors).judge(84.0)
    assert check.verdict is Verdict.FAIL
    assert (check.signal, check.value, check.limit, check.samples) == ("hard_limit", 1.0, 0.5, 5)


def test_dead_arms_together_are_inconclusive_and_name_the_platform():
    down = [_one(80.0 + i, True, arm) for i in range(8) for arm in Arm]
    check = _limits(_healthy(78) + down).judge(88.0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "platform" in check.reason


def test_dead_canary_beside_a_silent_baseline_is_inconclusive():
    check = _limits(_healthy(50) + [_one(100.0 + i, True) for i in range(8)]).judge(108.0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "was not seen" in check.reason


def test_probes_of_the_baseline_vouch_for_the_platform_where_users_no_longer_reach_it():
    users = [_block(80.0 + 2 * i, Arm.CANARY, 3, {"502": 3}) for i in range(4)]
    check = _limits(_healthy(90) + users).judge(88.0)
    assert check.verdict is Verdict.FAIL
    assert check.detail["baseline_from"] == ["probe"]


def test_five_errors_in_a_row_over_ten_seconds_fail_even_when_they_are_sparse():
    sparse = [_one(100.0 + 15 * i, True) for i in range(5)]
    assert _limits(_healthy(170) + sparse).judge(161.0).verdict is Verdict.FAIL
    interrupted = [*sparse, _one(137.0, False)]
    assert _limits(_healthy(170) + interrupted).judge(161.0).verdict is Verdict.PASS


def test_refusals_count_only_beyond_the_stables_share_of_them():
    stable = [_block(2.0 * i, Arm.BASELINE, 4, {"400": 2}) for i in range(50)]
    alike = [_block(80.0 + 2 * i, Arm.CANARY, 4, {"400": 3}) for i in range(8)]
    assert _limits(stable + alike).judge(96.0).verdict is Verdict.PASS
    clean = [_block(2.0 * i, Arm.BASELINE, 4, {}) for i in range(50)]
    assert _limits(clean + alike).judge(96.0).verdict is Verdict.FAIL


def test_a_baseline_that_always_fails_a_tenth_explains_a_bad_moment():
    stable = [_block(2.0 * i, Arm.BASELINE, 10, {"500": 1}) for i in range(50)]
    unlucky = [_block(90.0, Arm.CANARY, 9, {"500": 5})]
    assert _limits(stable + unlucky).judge(96.0).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [
        (["restart"], Verdict.PASS),
        (["restart", "restart"], Verdict.FAIL),
        (["oom"], Verdict.FAIL),
        (["fingerprint"], Verdict.FAIL),
        (["policy_bypass"], Verdict.FAIL),
        (["ready", "gone"], Verdict.PASS),
    ],
)
def test_pod_events_that_end_a_step(kinds, verdict):
    events = [PodEvent(1.0, Arm.CANARY, "pod", kind, "what happened") for kind in kinds]
    assert _limits(events=events).judge(2.0).verdict is verdict
    others = [PodEvent(1.0, Arm.BASELINE, "pod", kind, "") for kind in kinds]
    assert _limits(events=others).judge(2.0).verdict is Verdict.PASS


def test_restarts_are_counted_by_step_and_a_wrong_fingerprint_stays():
    limits = _limits(events=[PodEvent(1.0, Arm.CANARY, "pod", "restart", "")])
    limits.start_step()
    limits.add_event(PodEvent(2.0, Arm.CANARY, "pod", "restart", ""))
    assert limits.judge(3.0).verdict is Verdict.PASS
    limits.add_event(PodEvent(4.0, Arm.CANARY, "pod", "fingerprint", "image differs"))
    limits.start_step()
    assert limits.judge(5.0).verdict is Verdict.FAIL


def test_resumed_limits_judge_the_same():
    limits = _limits(
        _healthy(90) + [_one(80.0 + i, True) for i in range(5)],
        [PodEvent(1.0, Arm.CANARY, "pod", "restart", "")],
    )
    resumed = HardLimits.from_state(json.loads(json.dumps(limits.state())))
    assert resumed.judge(84.0) == limits.judge(84.0)


def _in_columns(results, parts=1):
    """The same as `_limits` of single results of one source."""
    limits = HardLimits()
    for part in range(parts):
        rows = results[part::parts]
        good = [r for r in rows if not (r.bad or r.client_errors)]
        failed = [r for r in rows if r.bad or r.client_errors]
        limits.add_marks(
            Source.PROBE, _marks(good), _marks(failed), np.array([r.client_errors > 0 for r in failed], bool)
        )
    return limits


def _marks(results):
    canary = np.array([r.arm is Arm.CANARY for r in results], np.bool_)
    return Marks(np.array([r.at for r in results], float), canary, np.zeros(len(results), np.int32))


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(
    ("errors", "now"),
    [
        pytest.param([], 84.0, id="none"),
        pytest.param([_one(80.0 + i, True) for i in range(4)], 84.0, id="four"),
        pytest.param([_one(80.0 + i, True) for i in range(5)], 84.0, id="dead"),
        pytest.param([_one(20.0 + 15 * i, True) for i in range(5)], 84.0, id="five in a row"),
        pytest.param(
            [_one(20.0 + 15 * i, True, client=True) for i in range(5)], 84.0, id="refusals in a row"
        ),
        pytest.param([_one(80.0 + i, True, arm) for i in range(8) for arm in Arm], 88.0, id="platform"),
    ],
)
def test_columns_are_judged_as_results_are(errors, now, parts):
    results = _healthy(90) + errors
    assert _in_columns(results, parts).judge(now) == _limits(results).judge(now)


def test_state_does_not_grow_with_requests():
    results = [_one(i / 20, i % 3 == 0, list(Arm)[i % 2]) for i in range(6000)]
    sizes = [len(json.dumps(_in_columns(results[::every]).state())) for every in (20, 1)]
    assert sizes[1] < 2 * sizes[0]


def test_results_without_a_moment_and_from_a_wrong_clock_reach_no_limit():
    errors = [_one(at, True) for at in (np.nan, np.inf, 1e12, 5e11, 400.0, 401.0, 402.0, 403.0, 404.0)]
    for limits in (_limits(_healthy(90) + errors), _in_columns(_healthy(90) + errors)):
        assert limits.judge(90.0).verdict is not Verdict.FAIL
        json.dumps(limits.state(), allow_nan=False)
