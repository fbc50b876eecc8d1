"""Claims about the suites of a stage."""

from guard.adapters.endpoint import Endpoint
from guard.adapters.workloads import Address
from guard.api.suites import EvalSuite, LoadSuite, SmokeSuite, Suite
from guard.core.check import Check, SuiteResult
from guard.core.samples import Arm
from guard.core.verdict import Verdict
from guard.daemon.observe import Observation, Side
from guard.daemon.stages import Stages
from guard.errors import ConfigurationError

SUITES = (SmokeSuite(name="smoke"), EvalSuite(name="eval"), LoadSuite(name="load"))


class Scripted:
    """A suite that ends at its second poll with a given verdict."""

    def __init__(self, suite: Suite, verdict: Verdict) -> None:
        self.polls = 0
        self.killed = False
        check = Check("any", verdict, "scripted")
        self.result = SuiteResult(suite.name, (check,), 0.0, 1.0, "http://canary")

    def poll(self) -> SuiteResult | None:
        self.polls += 1
        return self.result if self.polls > 1 else None

    def kill(self) -> None:
        self.killed = True


class Starter:
    """Starts scripted suites and remembers what it was asked."""

    def __init__(self, **verdicts: Verdict) -> None:
        self.verdicts = verdicts
        self.asked: list[tuple[str, str, str, str | None]] = []
        self.started: list[Scripted] = []

    def __call__(self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None) -> Scripted:
        self.asked.append((stage, suite.name, candidate.url, baseline.url if baseline else None))
        self.started.append(Scripted(suite, self.verdicts.get(suite.name, Verdict.PASS)))
        return self.started[-1]


def seen(stable: str | None = "10.0.0.1", canary: str | None = "10.0.0.2") -> Observation:
    def side(address: str | None) -> Side:
        return Side(None, (), (Address(address),) if address else ())

    return Observation(None, side(stable), side(canary))


def finish(stages: Stages) -> list[Verdict]:
    while not stages.done:
        stages.poll()
    return [result.verdict for result in stages.current]


def test_suites_run_one_after_another_on_both_arms() -> None:
    starter = Starter()
    stages = Stages(8000, None, starter)
    stages.compare("before-traffic", SUITES, seen())
    stages.poll()
    stages.poll()
    assert [suite for _, suite, _, _ in starter.asked] == ["smoke"]
    assert finish(stages) == [Verdict.PASS] * 3
    assert starter.asked[0] == ("before-traffic", "smoke", "http://10.0.0.2:8000", "http://10.0.0.1:8000")


def test_nothing_runs_after_a_failed_suite() -> None:
    starter = Starter(smoke=Verdict.FAIL)
    stages = Stages(8000, None, starter)
    stages.compare("before-traffic", SUITES, seen())
    assert finish(stages) == [Verdict.FAIL]


def test_a_suite_with_an_error_does_not_stop_the_others() -> None:
    stages = Stages(8000, None, Starter(smoke=Verdict.ERROR))
    stages.compare("before-traffic", SUITES, seen())
    assert finish(stages) == [Verdict.ERROR, Verdict.PASS, Verdict.PASS]


def test_a_vanished_canary_is_an_error_and_never_a_pass() -> None:
    stages = Stages(8000, None, Starter())
    stages.compare("step-1", SUITES[:1], seen(canary=None))
    assert finish(stages) == [Verdict.ERROR]


def test_a_suite_that_cannot_be_started_is_an_error() -> None:
    def start(stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None) -> Scripted:
        raise ConfigurationError("ConfigMap chat-evals: expected one key")

    stages = Stages(8000, None, start)
    stages.compare("before-traffic", SUITES[:1], seen())
    assert finish(stages) == [Verdict.ERROR]
    assert stages.current[0].error == "ConfigMap chat-evals: expected one key"


def test_after_a_rollback_the_stable_is_the_candidate() -> None:
    starter = Starter()
    stages = Stages(8000, None, starter)
    stages.verify_stable("after-rollback", SUITES[:1], seen())
    finish(stages)
    assert starter.asked == [("after-rollback", "smoke", "http://10.0.0.1:8000", None)]


def test_a_new_stage_ends_the_suite_under_way() -> None:
    starter = Starter()
    stages = Stages(8000, None, starter)
    stages.compare("step-1", SUITES[:1], seen())
    stages.poll()
    stages.compare("step-2", SUITES[:1], seen())
    assert starter.started[0].killed
    assert stages.current == []


def test_results_of_all_stages_are_kept() -> None:
    stages = Stages(8000, None, Starter())
    for name in ("step-1", "step-2"):
        stages.compare(name, SUITES[:1], seen())
        finish(stages)
    assert [stage for stage, _ in stages.results] == ["step-1", "step-2"]


def test_candidate_and_baseline_are_told_apart() -> None:
    endpoints = seen().endpoints(8000)
    assert endpoints[Arm.CANARY][0].url.startswith("http://10.0.0.2")
