"""Claims about the verdict of a stage, from the live rule and the suites together."""

import pytest

from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.blocks import PodEvent
from guard.core.check import Check, SuiteResult
from guard.core.samples import Arm
from guard.core.verdict import Verdict
from guard.daemon.analyse import Analysis
from tests.daemon.harness import GUARD

WHY = "the stable is another"


@pytest.fixture
def analysis() -> Analysis:
    analysis = Analysis(parse(GuardSpec, GUARD, "Guard"))
    analysis.start_step(0.0, 10, 60.0, 1)
    return analysis


def ttft(analysis: Analysis, now: float) -> Check:
    return next(check for check in analysis.live(now, False).checks if check.name == "ttft-live")


def suite(check: Check) -> SuiteResult:
    return SuiteResult("eval", (check,), 0.0, 1.0, "http://canary", "http://stable")


def test_a_rule_that_begins_anew_still_knows_which_pods_are_cold(analysis: Analysis) -> None:
    analysis.take_events([PodEvent(50.0, Arm.BASELINE, "stable-a", "ready", "")])
    analysis.forget()
    analysis.start_step(60.0, 10, 60.0, 1)
    assert "a replica is cold for another 170 s" in ttft(analysis, 60.0).reason


def test_a_rule_that_begins_anew_still_knows_a_foreign_template(analysis: Analysis) -> None:
    analysis.take_events([PodEvent(50.0, Arm.CANARY, "", "fingerprint", "not the plan's")])
    analysis.forget()
    assert analysis.live(60.0, False).verdict is Verdict.FAIL


def test_a_lost_comparison_with_another_stable_is_inconclusive(analysis: Analysis) -> None:
    lost = Check("eval-paired", Verdict.FAIL, "5 of 16 less", value=0.5, baseline_value=0.8)
    opinion = analysis.opinion(10.0, [suite(lost)], live=False, at_end=False, confounded=WHY)
    assert opinion.verdict is Verdict.INCONCLUSIVE
    assert opinion.deciding is not None
    assert opinion.deciding.reason == f"not compared ({WHY}): 5 of 16 less"


def test_a_failure_that_compares_nothing_stands_beside_another_stable(analysis: Analysis) -> None:
    leak = Check("no-special-tokens", Verdict.FAIL, "the answer holds <|im_end|>")
    opinion = analysis.opinion(10.0, [suite(leak)], live=True, at_end=False, confounded=WHY)
    assert (opinion.verdict, opinion.deciding) == (Verdict.FAIL, leak)


def test_an_unreadable_gateway_stays_the_error_beside_another_stable(analysis: Analysis) -> None:
    opinion = analysis.opinion(10.0, [], live=True, at_end=False, blind="no answer", confounded=WHY)
    assert opinion.verdict is Verdict.ERROR
    assert opinion.deciding is not None
    assert opinion.deciding.name == "gateway"
