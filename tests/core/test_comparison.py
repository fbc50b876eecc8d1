import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.core.comparison import ArmCounts, PairedItem, compare_errors, judge_pairs
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import NotJudged, Verdict

_SEVERITY = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]


def _pairs(both=0, lost=0, won=0, neither=0):
    kinds = (
        [(True, True)] * both + [(True, False)] * lost + [(False, True)] * won + [(False, False)] * neither
    )
    return [PairedItem(f"item-{i}", baseline, canary) for i, (baseline, canary) in enumerate(kinds)]


def _sample(i, at, outcome, arm=Arm.CANARY, replica="a"):
    return RequestSample(
        f"r{i}", Source.LOAD, arm, replica=replica, sent_at=at, finished_at=at, outcome=outcome
    )


def test_seven_lost_pairs_to_none_are_a_fail():
    check = judge_pairs(_pairs(both=9, lost=7))
    assert check.verdict is Verdict.FAIL
    assert check.p_value == pytest.approx(1 / 128)
    assert check.detail["lost"] == [f"item-{i}" for i in range(9, 16)]


def test_six_lost_pairs_pass_and_say_which_drop_would_have_been_found():
    check = judge_pairs(_pairs(both=10, lost=6))
    assert check.verdict is Verdict.PASS
    found = check.detail["smallest_drop_found"]
    assert f"a drop of {100 * found:.0f} points would have been found with probability 80 %" in check.reason


def test_a_pass_ratio_at_the_limit_fails():
    passing = judge_pairs(_pairs(both=10, lost=6))
    failing = judge_pairs(_pairs(both=9, lost=7))
    assert passing.value > passing.limit
    assert failing.value == failing.limit


def test_too_few_pairs_are_inconclusive_unless_they_fail_and_none_are_no_data():
    assert judge_pairs(_pairs(both=11)).verdict is Verdict.INCONCLUSIVE
    assert judge_pairs(_pairs(lost=8)).verdict is Verdict.FAIL
    assert judge_pairs([]).verdict is Verdict.NO_DATA


@pytest.mark.parametrize(("n", "verdict"), [(35, Verdict.INCONCLUSIVE), (36, Verdict.PASS)])
def test_non_inferior_passes_on_proof_only(n, verdict):
    assert judge_pairs(_pairs(both=n), policy="NonInferior").verdict is verdict


@pytest.mark.parametrize("policy", ["NoHarmFound", "NonInferior"])
@pytest.mark.parametrize(("both", "words"), [(0, "baseline passes none"), (8, "baseline passes 8")])
def test_a_baseline_that_passes_too_little_to_lose_is_inconclusive(policy, both, words):
    check = judge_pairs(_pairs(both=both, neither=40 - both), policy=policy)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert words in check.reason
    assert "not even the loss of them all would have been found" in check.reason
    assert check.detail["smallest_drop_found"] is None


def test_wins_and_losses_by_chance_are_no_reason_to_hold_where_a_collapse_would_have_been_found():
    check = judge_pairs(_pairs(both=8, lost=2, won=2))
    assert (check.verdict, check.detail["smallest_drop_found"]) == (Verdict.PASS, None)
    assert "the loss of all that the baseline passes would have been found" in check.reason


def test_a_canary_that_is_shown_to_be_better_needs_no_drop_to_be_found():
    assert judge_pairs(_pairs(both=3, won=7, neither=10)).verdict is Verdict.PASS
    assert judge_pairs(_pairs(both=3, won=6, neither=11)).verdict is Verdict.INCONCLUSIVE


def test_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="NoHarmFound"):
        judge_pairs(_pairs(both=20), policy="Hope")


_counts = st.integers(0, 25)


@given(_counts, _counts, _counts, _counts)
def test_losing_one_more_item_never_improves_the_verdict(both, lost, won, neither):
    before = judge_pairs(_pairs(both + 1, lost, won, neither)).verdict
    after = judge_pairs(_pairs(both, lost + 1, won, neither)).verdict
    assert _SEVERITY.index(after) >= _SEVERITY.index(before)


@given(_counts, _counts, _counts)
def test_arms_that_change_places_never_both_fail(both, lost, won):
    there, back = judge_pairs(_pairs(both + 1, lost, won)), judge_pairs(_pairs(both + 1, won, lost))
    assert not (there.verdict is Verdict.FAIL and back.verdict is Verdict.FAIL)
    assert there.value == back.baseline_value
    assert len(there.detail["lost"]) == len(back.detail["won"])


def test_a_quarter_of_errors_against_none_fails():
    check = compare_errors(ArmCounts(15, 60), ArmCounts(0, 60))
    assert check.verdict is Verdict.FAIL
    assert (check.value, check.baseline_value, check.samples) == (0.25, 0.0, 60)


def test_errors_of_both_arms_pass():
    assert compare_errors(ArmCounts(15, 60), ArmCounts(12, 60)).verdict is Verdict.PASS


def test_errors_of_one_short_incident_are_inconclusive_and_spread_ones_fail():
    good = [_sample(i, float(i), Outcome.OK, Arm.BASELINE) for i in range(60)]
    burst = [_sample(i, i / 2, Outcome.ERROR if 20 <= i < 36 else Outcome.OK) for i in range(60)]
    spread = [_sample(i, float(i), Outcome.ERROR if i % 4 == 0 else Outcome.OK) for i in range(60)]
    assert compare_errors(burst, good).verdict is Verdict.INCONCLUSIVE
    assert compare_errors(spread, good).verdict is Verdict.FAIL
    assert 59 <= compare_errors(spread, good).window_seconds <= 61


def test_requests_that_still_wait_are_neither_good_nor_bad():
    waiting = [_sample(i, float(i), None) for i in range(30)]
    assert compare_errors(waiting, ArmCounts(0, 30)).verdict is Verdict.NO_DATA


def test_without_a_baseline_errors_are_not_compared():
    assert compare_errors(ArmCounts(3, 30), None).verdict is NotJudged.NOT_COMPARED


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_one_more_canary_error_never_improves_the_verdict(total, bad, other_total, other_bad):
    bad, other_bad = min(bad, total - 1), min(other_bad, other_total)
    baseline = ArmCounts(other_bad, max(1, other_total))
    before = compare_errors(ArmCounts(bad, total), baseline, min_requests=20).verdict
    after = compare_errors(ArmCounts(bad + 1, total), baseline, min_requests=20).verdict
    assert _SEVERITY.index(after) >= _SEVERITY.index(before)
