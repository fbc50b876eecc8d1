"""What the suites refuse before anything is judged: options and configuration, each by its name."""

import pytest

from guard.adapters.policy.gateway import TOKEN_VARIABLES
from tests.suites.suite_runs import DEAD, SUITES, SuiteRunner


def test_suites_without_a_candidate_are_a_usage_error(run_suite: SuiteRunner) -> None:
    code, output = run_suite.pytest(str(SUITES / "smoke"))
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "--candidate URL" in output


@pytest.mark.parametrize(("suite", "option"), [("policy", "--candidate"), ("smoke", "--policy-gateway")])
def test_suite_without_what_it_judges_is_a_usage_error(
    run_suite: SuiteRunner, monkeypatch: pytest.MonkeyPatch, suite: str, option: str
) -> None:
    for name in TOKEN_VARIABLES.values():
        monkeypatch.setenv(name, "a-token-of-a-test")
    code, output = run_suite.pytest(str(SUITES / suite), f"{option}=http://x:1")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert {"policy": "--policy-gateway URL", "smoke": "--candidate URL"}[suite] in output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--baseline=http://x:1"], "--baseline needs --candidate"),
        (["--tidegate-out=out"], "--tidegate-out needs --candidate"),
        (["--policy-gateway=http://x:2"], "set TIDEGATE_POLICY_AGENT_TOKEN, TIDEGATE_POLICY_APPROVER_TOKEN"),
        (["--candidate=http://x:1", "--tidegate-out=/dev/null/x"], "--tidegate-out /dev/null/x"),
        (["--candidate=tide"], "--candidate: 'tide' is not a URL"),
        (["--candidate=http://x:1", "--baseline=ftp://x"], "--baseline: 'ftp://x' is not a URL"),
        (["--candidate=http://x:1", "--api-key-env=NO_SUCH"], "--api-key-env NO_SUCH"),
        (["--candidate=https://x:1", "--ca-file=missing.pem"], "CA file missing.pem: No such file"),
        (["--candidate=http://x:1", "--config=missing.yaml"], "--config missing.yaml: No such file"),
    ],
)
def test_unusable_option_is_refused_by_name(run_suite: SuiteRunner, options: list[str], named: str) -> None:
    code, output = run_suite.pytest(*options)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert named in output


def test_unknown_key_of_the_configuration_names_the_nearest(run_suite: SuiteRunner) -> None:
    run = run_suite("smoke", DEAD, config={"suites": [{"name": "smoke", "timeot": "1s"}]})
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "did you mean 'timeout'?" in run.output
