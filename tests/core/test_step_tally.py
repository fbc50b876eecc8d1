from guard.core.objectives import ErrorObjective, LatencyObjective
from guard.core.request_columns import Replicas, columns
from guard.core.samples import Arm, Outcome, RequestSample, Source
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
    [check] = tally.objective_checks(50, 300.0)
    assert check.verdict is Verdict.FAIL
    assert (check.value, check.samples, check.window_seconds) == (0.2, 100, 300.0)


def test_an_objective_is_asked_again_while_requests_are_too_few_and_then_stands():
    tally = _tally((Source.USER, Arm.CANARY, 30, 0), objectives=(ErrorObjective(0.01),))
    found = []
    for tick in range(200):
        found += tally.objective_checks(60, float(tick))
        tally.count(Source.USER, Arm.CANARY, 1, tick > 100)  # from then on every request is bad
    assert [check.verdict for check in found[:30]] == [Verdict.INCONCLUSIVE] * 30
    assert {(check.verdict, check.samples, check.window_seconds) for check in found[30:]} == {
        (Verdict.PASS, 60, 30.0)
    }


def test_a_request_that_waits_longer_than_the_limit_counts_as_over_it_once():
    objective = LatencyObjective("ttft", 0.9, 1.0)
    samples = [RequestSample(str(i), Source.PROBE, Arm.CANARY, sent_at=float(i)) for i in range(20)]
    waiting = [(Source.PROBE, columns(samples, Replicas()))]
    tally = _tally(objectives=(objective,))
    [early] = tally.objective_checks(15, 10.0, waiting, now=10.0)
    assert (early.verdict, early.samples) == (Verdict.INCONCLUSIVE, 9)
    [check] = tally.objective_checks(15, 30.0, waiting, now=30.0)
    assert (check.verdict, check.value, check.samples) == (Verdict.FAIL, 1.0, 20)


def test_requests_that_ended_count_for_their_arm_and_source():
    objective = LatencyObjective("ttft", 0.5, 1.0)
    tally = _tally(objectives=(objective,))
    for arm, ttft in ((Arm.CANARY, 2.0), (Arm.BASELINE, 0.1)):
        ended = [
            RequestSample(f"{i}", Source.USER, arm, sent_at=0.0, first_token_at=ttft, outcome=Outcome.OK)
            for i in range(30)
        ]
        tally.count_latency(Source.USER, columns(ended, Replicas()))
    [check] = tally.objective_checks(20, 60.0)
    assert (check.verdict, check.value, check.baseline_value) == (Verdict.FAIL, 1.0, 0.0)
