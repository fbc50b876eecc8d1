from guard.core.objectives import ErrorObjective
from guard.core.samples import Arm, Source
from guard.core.step_tally import StepTally
from guard.core.verdict import Verdict


def _tally(*counts, objectives=()):
    tally = StepTally(objectives)
    for source, arm, requests, bad in counts:
        tally.count(source, arm, requests, bad)
    return tally


def test_requests_that_gateway_and_access_log_both_saw_count_once():
    tally = _tally(
        (Source.USER, Arm.CANARY, 30, 0),
        (Source.ACCESS_LOG, Arm.CANARY, 28, 0),
        (Source.PROBE, Arm.CANARY, 10, 0),
        (Source.USER, Arm.BASELINE, 99, 0),
    )
    assert tally.total(Arm.CANARY) == 40


def test_objective_on_errors_takes_users_requests_before_probes_and_mixes_nothing():
    tally = _tally(
        (Source.PROBE, Arm.CANARY, 200, 0),
        (Source.USER, Arm.CANARY, 100, 20),
        objectives=(ErrorObjective(0.05),),
    )
    [check] = tally.objective_checks(min_requests=50)
    assert check.verdict is Verdict.FAIL
    assert (check.value, check.samples) == (0.2, 100)


def test_errors_are_proven_non_inferior_with_hundreds_of_requests_only():
    few, many = (
        _tally((Source.USER, Arm.CANARY, n, 0), (Source.USER, Arm.BASELINE, n, 0)) for n in (200, 300)
    )
    assert few.proof_on_errors().verdict is Verdict.INCONCLUSIVE
    assert many.proof_on_errors().verdict is Verdict.PASS
    assert _tally().proof_on_errors().verdict is Verdict.INCONCLUSIVE
