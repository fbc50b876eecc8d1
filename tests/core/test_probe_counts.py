import pytest

from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.objectives import ErrorObjective, LatencyObjective
from guard.core.probe_counts import budget_key, feeds, probe_counts
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import NotJudged, Verdict

ERRORS, TTFT, E2E = (
    ErrorObjective(0.01),
    LatencyObjective("ttft", 0.95, 1.0),
    LatencyObjective("e2e", 0.95, 5.0),
)


def check(verdict: Verdict | NotJudged, signal: str | None = "errors", **detail: object) -> Check:
    return Check("c", verdict, "as told", signal, detail=detail)


def sample(outcome: Outcome | None, ttft: float | None = 0.1, arm: Arm = Arm.CANARY) -> RequestSample:
    first = None if ttft is None else 10.0 + ttft
    end = None if outcome is None else 12.0
    return RequestSample(
        "r", Source.LOAD, arm, sent_at=10.0, first_token_at=first, finished_at=end, outcome=outcome
    )


@pytest.mark.parametrize(
    ("checks", "found"),
    [
        pytest.param([check(Verdict.PASS), check(Verdict.FAIL)], ArmCounts(1, 2), id="one of two"),
        pytest.param([check(Verdict.FAIL, "hard_limit")], ArmCounts(1, 1), id="it is dead"),
        pytest.param([check(Verdict.PASS), check(Verdict.ERROR)], ArmCounts(0, 1), id="our fault"),
        pytest.param([check(Verdict.PASS), check(Verdict.NO_DATA)], ArmCounts(0, 1), id="silence"),
        pytest.param(
            [check(Verdict.PASS), check(NotJudged.NOT_APPLICABLE)], ArmCounts(0, 1), id="not applicable"
        ),
        pytest.param([check(Verdict.PASS), check(Verdict.FAIL, "quality")], ArmCounts(0, 1), id="quality"),
        pytest.param([check(Verdict.ERROR)], None, id="nothing but our fault"),
    ],
)
def test_smoke_counts_checks_of_whether_there_is_a_valid_answer(checks, found):
    assert probe_counts("smoke", checks, None, [ERRORS]).get("errors") == found


def test_smoke_counts_its_times_and_a_request_without_a_token_as_slow():
    timed = check(Verdict.PASS, "ttft", ttft_seconds=[0.5, 1.0, 1.5, None])
    assert probe_counts("smoke", [timed], None, [TTFT]) == {"ttft>1s": ArmCounts(2, 4)}


def test_smokes_four_tokens_say_nothing_of_the_time_to_the_end():
    timed = check(Verdict.PASS, "ttft", e2e_seconds=[9.0])
    assert probe_counts("smoke", [timed], None, [E2E]) == {}
    assert not feeds("smoke", E2E)
    assert feeds("load", E2E)


def test_load_counts_every_request_that_ended_and_not_its_checks():
    samples = [
        sample(Outcome.OK),
        sample(Outcome.OK, ttft=2.0),
        sample(Outcome.TIMEOUT, None),
        sample(None, None),
    ]
    samples.append(sample(Outcome.ERROR, None, Arm.BASELINE))
    found = probe_counts("load", [check(Verdict.FAIL)], samples, [ERRORS, TTFT])
    assert found == {"errors": ArmCounts(1, 3), "ttft>1s": ArmCounts(2, 3)}


@pytest.mark.parametrize("suite", ["eval", "policy"])
def test_other_suites_count_nothing(suite):
    assert probe_counts(suite, [check(Verdict.FAIL)], None, [ERRORS]) == {}


def test_the_share_that_may_be_bad_changes_nothing_of_what_is():
    assert budget_key(ErrorObjective(0.5)) == budget_key(ERRORS)
    assert budget_key(LatencyObjective("ttft", 0.5, 1.0)) == budget_key(TTFT)
    assert budget_key(LatencyObjective("ttft", 0.95, 2.0)) != budget_key(TTFT)
