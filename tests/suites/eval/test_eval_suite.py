"""The eval suite against scripted runtimes that know, forget, fail and break."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from guard.api.suites import EvalSuite
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime
from suites.eval.dataset import SHIPPED, draw, read_items
from suites.eval.finish import EVALS_SCHEMA
from tests.suites.suite_runs import HOST, Run, SuiteRunner, knowing

pytestmark = pytest.mark.component

SIXTEEN = {"suites": [{"name": "eval", "items": 16, "seed": 7}]}
ITEMS = draw(read_items(SHIPPED), EvalSuite(name="eval", items=16, seed=7))


def compare(run_suite: SuiteRunner, candidate: Script, baseline: Script, **config: object) -> Run:
    with (
        ScriptedRuntime.serve(candidate, HOST) as one,
        ScriptedRuntime.serve(baseline, HOST) as other,
    ):
        return run_suite("eval", one.url, other.url, config=SIXTEEN | config)


@pytest.fixture(autouse=True)
def _no_waiting_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suites.eval.test_eval.RETRY_AFTER_SECONDS", (0.0, 0.0))


def test_equal_answers_pass_and_say_what_would_have_been_found(run_suite: SuiteRunner) -> None:
    run = compare(run_suite, Script(answer=knowing()), Script(answer=knowing()))
    assert run.verdicts == {"eval-answered": "PASS", "eval-paired": "PASS"}
    assert (run.code, run.checks["eval-paired"].samples) == (0, 16)
    assert run.result is not None
    whole = run.result.finished_at - run.result.started_at
    assert all(0 < (check.window_seconds or 0) <= whole for check in run.checks.values())
    assert "probability 80 %" in run.checks["eval-paired"].reason


def test_seven_lost_pairs_to_none_fail(run_suite: SuiteRunner) -> None:
    run = compare(run_suite, Script(answer=knowing(wrong=ITEMS[:7])), Script(answer=knowing()))
    check = run.checks["eval-paired"]
    assert str(check.verdict) == "FAIL"
    assert sorted(check.detail["lost"]) == sorted(item.id for item in ITEMS[:7])
    assert (check.value, check.baseline_value) == (9 / 16, 1.0)
    assert run.code == 1


def test_six_lost_pairs_are_not_enough(run_suite: SuiteRunner) -> None:
    run = compare(run_suite, Script(answer=knowing(wrong=ITEMS[:6])), Script(answer=knowing()))
    assert run.verdict == "PASS"


def test_both_wrong_on_the_same_items_is_no_loss(run_suite: SuiteRunner) -> None:
    forgetful = Script(answer=knowing(wrong=ITEMS[:4]))
    assert compare(run_suite, forgetful, forgetful).verdict == "PASS"


@pytest.mark.parametrize("wrong", [12, 16])
@pytest.mark.parametrize("policy", ["NoHarmFound", "NonInferior"])
def test_two_arms_that_know_next_to_nothing_never_pass(
    run_suite: SuiteRunner, wrong: int, policy: str
) -> None:
    forgetful = Script(answer=knowing(wrong=ITEMS[:wrong]))
    run = compare(run_suite, forgetful, forgetful, policy=policy)
    assert run.verdicts == {"eval-answered": "PASS", "eval-paired": "INCONCLUSIVE"}


def test_non_inferior_needs_proof(run_suite: SuiteRunner) -> None:
    script = Script(answer=knowing())
    assert compare(run_suite, script, script, policy="NonInferior").verdict == "INCONCLUSIVE"


def test_too_few_pairs_are_inconclusive(run_suite: SuiteRunner) -> None:
    script = Script(answer=knowing())
    run = compare(run_suite, script, script, suites=[{"name": "eval", "items": 8}])
    assert run.verdicts["eval-paired"] == "INCONCLUSIVE"
    assert run.code == 1


def test_without_a_baseline_the_pass_rate_is_told_and_not_judged(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(answer=knowing(wrong=ITEMS[:8])), HOST) as runtime:
        run = run_suite("eval", runtime.url, config=SIXTEEN)
    assert run.verdicts["eval-paired"] == "NOT_COMPARED"
    assert run.checks["eval-paired"].value == 0.5


@pytest.mark.parametrize(("wrong", "verdict"), [(16, "INCONCLUSIVE"), (15, "PASS")])
def test_without_a_baseline_no_right_answer_at_all_is_nothing_to_go_by(
    run_suite: SuiteRunner, wrong: int, verdict: str
) -> None:
    with ScriptedRuntime.serve(Script(answer=knowing(wrong=ITEMS[:wrong])), HOST) as runtime:
        run = run_suite("eval", runtime.url, config=SIXTEEN)
    assert run.verdict == run.verdicts["eval-answered"] == verdict
    said = "0 of 16 right: nothing to go by without a baseline" in run.checks["eval-answered"].reason
    assert said == (wrong == 16)


def test_candidate_that_only_errors_fails(run_suite: SuiteRunner) -> None:
    broken = Script(answer=knowing(), faults=(Fault(FaultKind.HTTP500),))
    run = compare(run_suite, broken, Script(answer=knowing()))
    assert run.verdicts == {"eval-answered": "FAIL", "eval-paired": "FAIL"}
    assert run.checks["eval-answered"].detail["errors"] == ["HTTP 500: EngineCore encountered an issue."]


def test_errors_of_both_arms_are_not_the_candidates_fault(run_suite: SuiteRunner) -> None:
    broken = Script(faults=(Fault(FaultKind.HTTP500),))
    assert compare(run_suite, broken, broken).verdicts["eval-answered"] == "PASS"


@pytest.mark.parametrize(("baseline_hangs", "verdict"), [(False, "FAIL"), (True, "ERROR")])
def test_candidate_that_only_times_out_ends_the_suite_soon(
    run_suite: SuiteRunner, baseline_hangs: bool, verdict: str
) -> None:
    hanging = Script(answer=knowing(), faults=(Fault(FaultKind.HANG),))
    sound = Script(answer=knowing())
    suites = [*SIXTEEN["suites"], {"name": "smoke", "timeout": "200ms"}]
    run = compare(run_suite, hanging, hanging if baseline_hangs else sound, suites=suites)
    assert run.verdicts["endpoint-answers"] == verdict
    assert run.checks["eval-answered"].samples == 3


def test_only_transport_errors_are_asked_again(run_suite: SuiteRunner) -> None:
    script = Script(answer=knowing(), faults=(Fault(FaultKind.HTTP500),))
    with ScriptedRuntime.serve(script, HOST) as runtime:
        run_suite("eval", runtime.url, config=SIXTEEN)
        assert len(runtime.sent) == 16


def test_arms_take_turns_at_being_first(run_suite: SuiteRunner) -> None:
    script = Script(answer=knowing())
    with (
        ScriptedRuntime.serve(script, HOST) as candidate,
        ScriptedRuntime.serve(script, HOST) as baseline,
    ):
        run_suite("eval", candidate.url, baseline.url, config=SIXTEEN)
        first = [
            ours.received_at < theirs.received_at
            for ours, theirs in zip(candidate.sent, baseline.sent, strict=True)
        ]
    assert first in ([True, False] * 8, [False, True] * 8)


def test_raw_answers_and_pairs_are_written(run_suite: SuiteRunner) -> None:
    run = compare(run_suite, Script(answer=knowing(wrong=ITEMS[:1])), Script(answer=knowing()))
    assert run.result is not None
    rows = [json.loads(line) for line in (run.out / run.result.files["answers"]).read_text().splitlines()]
    assert len(rows) == 32
    assert {row["arm"] for row in rows} == {"baseline", "canary"}
    table = pq.read_table(run.out / run.result.files["evals"])
    assert table.schema.equals(EVALS_SCHEMA)
    assert table.column("canary_pass").to_pylist().count(False) == 1
    assert table.column("baseline_pass").to_pylist().count(False) == 0


def test_undeclared_difference_of_the_arms_refuses_the_comparison(run_suite: SuiteRunner) -> None:
    run = compare(run_suite, Script(version="0.33.0"), Script(version="0.32.0"), expectChange=["model"])
    assert run.verdicts == {"arms-are-comparable": "INCONCLUSIVE"}
    assert "runtime_version" in run.checks["arms-are-comparable"].reason


def test_dead_baseline_is_an_error(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        run = run_suite("eval", runtime.url, "http://127.30.255.1:9", config=SIXTEEN)
    assert run.verdicts == {"baseline-answers": "ERROR"}


def test_unusable_own_items_are_an_error_that_names_the_line(run_suite: SuiteRunner, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"id": "a"}\n')
    config = {"suites": [{"name": "eval", "dataset": {"file": "own.jsonl"}}]}
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        run = run_suite("eval", runtime.url, config=config)
    assert run.verdict == "ERROR"
    assert run.result is not None
    assert "own.jsonl:1: family: Field required" in str(run.result.error)


def test_verdict_is_formed_once_from_all_workers(run_suite: SuiteRunner) -> None:
    with (
        ScriptedRuntime.serve(Script(answer=knowing(wrong=ITEMS[:7])), HOST) as one,
        ScriptedRuntime.serve(Script(answer=knowing()), HOST) as other,
    ):
        run = run_suite("eval", one.url, other.url, "-n1", config=SIXTEEN, in_process=False)
    assert run.verdicts == {"eval-answered": "PASS", "eval-paired": "FAIL"}
    assert run.checks["eval-paired"].samples == 16
