from dataclasses import replace

import pytest

from guard.adapters.policy.gateway import TOKEN_VARIABLES
from guard.api.suites import EvalSuite, LoadSuite, SmokeSuite
from guard.core.fingerprint import EXPECTED_BY_DEFAULT
from guard.errors import ConfigurationError
from guard.gate.plan import Wishes, limit_seconds, make_plan, without_credentials

WISHES = Wishes("http://127.50.0.1:8000", "http://127.50.0.2:8000")


def _file(tmp_path, text):
    path = tmp_path / "suites.yaml"
    path.write_text(text)
    return path


def _names(plan):
    return [suite.name for suite in plan.config.suites]


def test_all_suites_run_by_default_the_cheap_ones_first():
    assert _names(make_plan(WISHES)) == ["smoke", "eval", "load"]


def test_order_is_fixed_whatever_the_user_writes():
    assert _names(make_plan(replace(WISHES, suites=["load", "smoke"]))) == ["smoke", "load"]


def test_chosen_suite_keeps_the_settings_of_the_file(tmp_path):
    file = _file(tmp_path, "suites: [{name: load, rate: '5'}, {name: smoke}]")
    plan = make_plan(replace(WISHES, suites=["load"], config_file=file))
    assert plan.config.suites == (LoadSuite(name="load", rate="5"),)


def test_suite_that_the_file_lacks_can_be_asked_for_by_name(tmp_path):
    plan = make_plan(replace(WISHES, suites=["eval"], config_file=_file(tmp_path, "suites: [{name: smoke}]")))
    assert plan.config.suites == (EvalSuite(name="eval"),)


def test_command_line_wins_over_the_file(tmp_path):
    file = _file(tmp_path, "{policy: NoHarmFound, expectChange: [model]}")
    plan = make_plan(
        replace(WISHES, config_file=file, policy="NonInferior", expect_change=("runtime_version",))
    )
    assert (plan.config.policy, plan.expected) == ("NonInferior", {"runtime_version"})


def test_accelerator_and_what_asks_are_never_expected_to_change_by_default():
    assert make_plan(WISHES).expected == EXPECTED_BY_DEFAULT
    assert "accelerator" not in EXPECTED_BY_DEFAULT


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"suites": ["policy"]}, "--suite policy: name the gateway that it judges with --policy-gateway URL"),
        ({"suites": ["smok"]}, "did you mean 'smoke'"),
        ({"suites": []}, "no suite to run"),
        ({"candidate": "chat:8000"}, "--candidate: 'chat:8000' is not a URL"),
        ({"baseline": "ftp://x"}, "--baseline"),
        ({"baseline": ""}, "--baseline"),
        ({"candidate": "http://me:hunter2@chat:8000"}, "--candidate: no credentials in a URL"),
        ({"api_key_env": "TIDEGATE_TEST_ABSENT"}, "TIDEGATE_TEST_ABSENT: no such variable"),
        ({"ca_file": "/nowhere/ca.pem"}, "CA file /nowhere/ca.pem"),
        ({"expect_change": ("colour",)}, "colour"),
    ],
)
def test_unusable_wish_is_refused_by_name(wishes, message):
    with pytest.raises(ConfigurationError, match=message) as refused:
        make_plan(replace(WISHES, **wishes))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suites: [{name: load, durration: 30s}]", "durration: unknown key; did you mean 'duration'"),
        ("suites: [{name: load, duration: 30}]", "duration"),
        ("suites: [{name: smoke}, {name: smoke}]", "each name once"),
        ("objectives: [{signal: ttft, quantile: p95, limit: fast}]", "limit"),
        ("a: [", "not YAML"),
        ("- smoke", "expected a mapping"),
        ("suites: [{name: eval, dataset: {configMap: items}}]", "only a guard in a cluster reads it"),
        ("suites: [{name: eval, dataset: {file: items.jsonl}}]", "items.jsonl: no such file"),
    ],
)
def test_broken_file_is_refused_by_path_before_anything_starts(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        make_plan(replace(WISHES, config_file=_file(tmp_path, text)))


def test_absent_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: No such file"):
        make_plan(replace(WISHES, config_file=tmp_path / "nowhere.yaml"))


def test_empty_file_means_the_defaults(tmp_path):
    plan = make_plan(replace(WISHES, config_file=_file(tmp_path, "")))
    assert plan.config.suites[0] == SmokeSuite(name="smoke")


def test_own_items_are_found_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "items.jsonl").write_text("{}")
    file = _file(tmp_path, "suites: [{name: eval, dataset: {file: items.jsonl}}]")
    assert make_plan(replace(WISHES, config_file=file)).dataset == tmp_path / "items.jsonl"


def test_suite_timeout_bounds_its_process():
    assert limit_seconds(LoadSuite(name="load", timeout="90s")) == 90


def test_credentials_of_a_refused_url_are_not_written_down():
    assert without_credentials("http://me:pw@chat:8000") == "http://[redacted]@chat:8000"
    assert without_credentials("http://chat:8000/v1") == "http://chat:8000/v1"


@pytest.fixture
def tokens(monkeypatch):
    for name in TOKEN_VARIABLES.values():
        monkeypatch.setenv(name, "a-token-of-a-test")


def test_named_policy_gateway_is_judged_too(tokens):
    plan = make_plan(replace(WISHES, policy_gateway="http://127.50.0.3:8460"))
    assert _names(plan) == ["smoke", "eval", "load", "policy"]
    assert plan.policy_gateway.url == "http://127.50.0.3:8460"


def test_policy_gateway_does_not_add_to_suites_that_are_named(tokens):
    wishes = replace(WISHES, suites=["smoke"], policy_gateway="http://127.50.0.3:8460")
    assert _names(make_plan(wishes)) == ["smoke"]


def test_policy_suite_without_the_callers_tokens_is_refused_before_anything_runs(monkeypatch):
    for name in TOKEN_VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    wishes = replace(WISHES, suites=["policy"], policy_gateway="http://127.50.0.3:8460")
    with pytest.raises(
        ConfigurationError, match=r"set TIDEGATE_POLICY_AGENT_TOKEN, .* to the callers' tokens"
    ):
        make_plan(wishes)
