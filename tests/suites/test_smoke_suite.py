"""The smoke suite against runtimes that go wrong in every scripted way."""

from dataclasses import replace

import pytest

from guard.core.check import Check
from guard.testing.runtime import Fault, FaultKind, Script, ScriptedRuntime
from tests.suites.suite_runs import DEAD, HOST, SuiteRunner

pytestmark = pytest.mark.component

FAST = {"suites": [{"name": "smoke", "timeout": "400ms"}]}

ALL = {
    "liveness",
    "model-list",
    "completion",
    "stream-is-whole",
    "stream-is-not-empty",
    "stream-is-not-repetitive",
    "no-leaked-special-tokens",
    "unknown-model-is-refused",
    "ttft-median",
}


def test_healthy_runtime_passes_every_check(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        run = run_suite("smoke", runtime.url)
    assert run.verdicts == dict.fromkeys(ALL, "PASS")
    assert (run.code, run.verdict) == (0, "PASS")


def test_every_check_says_what_time_it_covers(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(itl_seconds=0.01), HOST) as runtime:
        checks = run_suite("smoke", runtime.url).checks
    windows = {name: check.window_seconds for name, check in checks.items()}
    assert None not in windows.values()
    streams = {windows[name] for name in ("stream-is-whole", "stream-is-not-repetitive")}
    assert len(streams) == 1  # one stream, asked for in one of them
    assert max(streams) > 0.01


@pytest.mark.parametrize(
    ("kind", "failing"),
    [
        ("unhealthy", {"liveness"}),
        ("truncate", {"stream-is-whole", "stream-is-not-empty", "stream-is-not-repetitive"}),
        ("repetitive", {"stream-is-not-repetitive"}),
        ("leak-special", {"no-leaked-special-tokens"}),
        ("empty", {"completion", "stream-is-whole", "stream-is-not-empty", "ttft-median"}),
        ("garbage", {"completion", "stream-is-whole", "ttft-median"}),
        ("http500", {"completion", "stream-is-whole", "ttft-median"}),
    ],
)
def test_fault_fails_the_checks_that_see_it(run_suite: SuiteRunner, kind: str, failing: set[str]) -> None:
    with ScriptedRuntime.serve(Script(faults=(Fault(FaultKind(kind)),)), HOST) as runtime:
        run = run_suite("smoke", runtime.url)
    failed = {name for name, verdict in run.verdicts.items() if verdict == "FAIL"}
    assert failing <= failed
    assert run.verdicts["model-list"] == "PASS"
    assert (run.code, run.verdict) == (1, "FAIL")
    if kind in ("repetitive", "leak-special", "unhealthy"):
        assert failed == failing


def test_runtime_that_is_healthy_and_never_generates_fails(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(faults=(Fault(FaultKind.HANG),)), HOST) as runtime:
        run = run_suite("smoke", runtime.url, config=FAST)
    assert run.verdicts["liveness"] == "PASS"
    assert run.verdicts["completion"] == "FAIL"
    assert "timeout" in run.checks["completion"].reason
    assert run.verdict == "FAIL"


def test_checks_of_what_is_whole_or_not_have_no_value_and_no_limit(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        checks = run_suite("smoke", runtime.url).checks
    bare = {name for name, check in checks.items() if check.value is None}
    assert bare == {"model-list", "completion", "stream-is-whole", "no-leaked-special-tokens"}
    assert all(checks[name].limit is None for name in bare)


def test_slow_first_token_fails_with_value_against_limit(run_suite: SuiteRunner) -> None:
    config = {"suites": [{"name": "smoke", "ttftMedianLimit": "20ms"}]}
    with ScriptedRuntime.serve(Script(ttft_seconds=0.05), HOST) as runtime:
        check = run_suite("smoke", runtime.url, config=config).checks["ttft-median"]
    assert str(check.verdict) == "FAIL"
    assert (check.signal, check.unit, check.limit, check.samples) == ("ttft", "seconds", 0.02, 5)
    assert check.value is not None
    assert check.value >= 0.05


def test_runtime_that_answers_to_any_name_is_not_applicable_never_passed(run_suite: SuiteRunner) -> None:
    script = Script(owned_by="llamacpp", checks_model_name=False)
    with ScriptedRuntime.serve(script, HOST) as runtime:
        run = run_suite("smoke", runtime.url)
    assert run.verdicts["unknown-model-is-refused"] == "NOT_APPLICABLE"
    assert run.verdict == "PASS"


def test_vllm_that_answers_to_any_name_fails(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(checks_model_name=False), HOST) as runtime:
        run = run_suite("smoke", runtime.url)
    assert run.verdicts["unknown-model-is-refused"] == "FAIL"


def _only(check_of: dict[str, Check], name: str) -> Check:
    assert list(check_of) == [name]
    return check_of[name]


def test_candidate_dead_beside_a_live_baseline_fails(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(), HOST) as baseline:
        run = run_suite("smoke", DEAD, baseline.url)
    check = _only(dict(run.checks), "endpoint-answers")
    assert str(check.verdict) == "FAIL"
    assert "connection refused" in check.reason


def test_unknown_runtime_that_answers_to_any_name_is_not_applicable(run_suite: SuiteRunner) -> None:
    script = Script(owned_by="someone", checks_model_name=False)
    with ScriptedRuntime.serve(script, HOST) as runtime:
        run = run_suite("smoke", runtime.url)
    assert run.verdicts["unknown-model-is-refused"] == "NOT_APPLICABLE"


@pytest.mark.parametrize("baseline", [DEAD, None])
def test_candidate_dead_without_a_live_baseline_is_an_error(
    run_suite: SuiteRunner, baseline: str | None
) -> None:
    run = run_suite("smoke", DEAD, baseline)
    assert str(_only(dict(run.checks), "endpoint-answers").verdict) == "ERROR"
    assert run.verdict == "ERROR"


def test_missing_api_key_is_an_error_that_names_the_option(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        run = run_suite("smoke", runtime.url, runtime.url)
    check = _only(dict(run.checks), "endpoint-answers")
    assert str(check.verdict) == "ERROR"
    assert "401" in check.reason
    assert "--api-key-env" in check.reason


def test_api_key_is_read_from_the_named_variable(
    run_suite: SuiteRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTED_KEY", "sesame")
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        run = run_suite("smoke", runtime.url, None, "--api-key-env=SCRIPTED_KEY")
    assert run.verdict == "PASS"
    assert "sesame" not in (run.out / "smoke.json").read_text()


def test_wrong_model_is_an_error_that_names_the_served_ones(run_suite: SuiteRunner) -> None:
    with ScriptedRuntime.serve(Script(model="tide-1"), HOST) as runtime:
        run = run_suite("smoke", runtime.url, None, "--model=ebb-1")
    check = _only(dict(run.checks), "model-is-served")
    assert str(check.verdict) == "ERROR"
    assert "'tide-1'" in check.reason


def test_model_that_only_the_baseline_serves_fails(run_suite: SuiteRunner) -> None:
    with (
        ScriptedRuntime.serve(Script(model="ebb-1"), HOST) as candidate,
        ScriptedRuntime.serve(Script(model="tide-1"), HOST) as baseline,
    ):
        run = run_suite("smoke", candidate.url, baseline.url, "--model=tide-1")
    assert run.verdicts == {"model-is-served": "FAIL"}


def test_candidate_that_dies_between_two_checks_is_judged_by_the_baseline(run_suite: SuiteRunner) -> None:
    def dying(_: object) -> str:
        candidate.script = replace(candidate.script, faults=(Fault(FaultKind.DIE),))
        return "The sea."

    with (
        ScriptedRuntime.serve(Script(answer=dying, ttft_seconds=1.0), HOST) as candidate,
        ScriptedRuntime.serve(Script(), HOST) as baseline,
    ):
        run = run_suite("smoke", candidate.url, baseline.url)
    assert run.verdicts["liveness"] == "PASS"
    assert run.verdicts["endpoint-answers"] == "FAIL"
