"""The settings of a recorded rollout: names, values, a Guard's copy, and `--set`."""

import pytest

from guard.api.replay_settings import read_settings
from guard.core.objectives import ErrorObjective, LatencyObjective
from guard.core.rollout import ReplaySettings
from guard.errors import ConfigurationError

GUARD = {
    "target": {
        "runtime": {"type": "vLLM", "models": ["m"]},
        "route": {"name": "chat"},
        "stable": {"workload": {"name": "chat"}, "service": "chat"},
        "canary": {"workload": {"name": "chat-canary"}, "service": "chat-canary"},
    },
    "signals": {"gateway": {"type": "Traefik", "url": "http://traefik:9100/metrics"}},
    "objectives": [{"signal": "errors", "limit": "1%"}],
    "steps": [{"weight": 5, "hold": "10m", "minRequests": 50}, {"weight": 50, "hold": "20m"}],
    "promotion": {"policy": "NonInferior"},
}


def test_nothing_said_is_the_defaults():
    assert read_settings(None).to_core() == ReplaySettings()
    assert read_settings({}).to_core() == ReplaySettings()


def test_every_setting_reaches_the_core():
    document = {
        "alpha": 0.01,
        "promotion": {"policy": "NonInferior"},
        "objectives": [{"signal": "ttft", "quantile": "p95", "limit": "750ms"}],
        "minRequests": 40,
        "warmUp": "60s",
        "planned": "40m",
    }
    objectives = (LatencyObjective("ttft", 0.95, 0.75),)
    assert read_settings(document).to_core() == ReplaySettings(
        0.01, "NonInferior", objectives, 40, 60.0, 2400.0
    )


def test_a_copy_of_a_whole_guard_says_what_decides():
    read = read_settings(GUARD)
    core = read.to_core()
    assert (core.policy, core.objectives) == ("NonInferior", (ErrorObjective(0.01),))
    assert core.planned_seconds == 1800.0
    assert [step.min_requests for step in read.steps] == [50, 200]


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("alpha=0.001", "alpha", 0.001),
        ("minRequests=12", "min_requests", 12),
        ("promotion.policy=NonInferior", "policy", "NonInferior"),
        ("policy=NonInferior", "policy", "NonInferior"),
        ("planned=10m", "planned_seconds", 600.0),
        ("warmUp=0s", "warm_up_seconds", 0.0),
        ('objectives=[{signal: errors, limit: "2%"}]', "objectives", (ErrorObjective(0.02),)),
    ],
)
def test_a_setting_is_changed_by_its_name(override, field, value):
    assert getattr(read_settings({}, [override]).to_core(), field) == value


def test_the_last_of_two_overrides_stands():
    assert read_settings({}, ["alpha=0.1", "alpha=0.2"]).alpha == 0.2


def test_min_requests_is_changed_for_every_step_of_a_guard_too():
    assert {step.min_requests for step in read_settings(GUARD, ["minRequests=7"]).steps} == {7}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("alhpa=0.1", "alpha"),
        ("min_requests=5", "minRequests"),
        ("promotion.polcy=NonInferior", "policy"),
        ("alpha=2", "less than 1"),
        ("alpha=much", "alpha"),
        ("alpha", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("alpha.x=3", "alpha has no parts"),
        ("objectives=[", "not YAML"),
        ("minRequests=1.5", "whole number"),
    ],
)
def test_a_wrong_override_names_itself_and_what_was_meant(override, told):
    with pytest.raises(ConfigurationError, match=told) as error:
        read_settings({}, [override])
    assert f"--set {override}" in str(error.value)


def test_an_unknown_setting_of_the_file_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"settings: tresholds"):
        read_settings({"tresholds": 3})
