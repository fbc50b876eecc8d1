"""Claims about the Guard's document."""

from typing import get_args

import pytest
import yaml

from guard.adapters.runtimes import BY_TYPE
from guard.api.change import plan_digest
from guard.api.crd import definitions
from guard.api.fields import parse
from guard.api.guard import GuardSpec, Runtime
from guard.errors import ConfigurationError
from tests.daemon.conftest import ROOT
from tests.daemon.harness import GUARD


def test_every_runtime_type_of_a_guard_has_an_adapter() -> None:
    assert set(get_args(Runtime.model_fields["type"].annotation)) == set(BY_TYPE)


def test_the_shipped_crds_are_made_from_the_models() -> None:
    shipped = list(yaml.safe_load_all((ROOT / "deploy/crds.yaml").read_text(encoding="utf-8")))
    assert shipped == definitions(), "run: make generated"


def test_the_shipped_guards_are_valid() -> None:
    (document,) = yaml.safe_load_all((ROOT / "stack/manifests/demo/guard.yaml").read_text(encoding="utf-8"))
    assert parse(GuardSpec, document["spec"], "Guard").enforcement == "Enforce"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"enforcment": "Enforce"}, r"enforcment: unknown key; did you mean 'enforcement'\?"),
        ({"enforcement": "Maybe"}, "enforcement: Input should be 'Advise' or 'Enforce'"),
        ({"steps": []}, "steps: Tuple should have at least 1 item"),
        ({"steps": [{"weight": 50, "hold": "5m"}, {"weight": 25, "hold": "5m"}]}, "weights must rise"),
        ({"steps": [{"weight": 50, "hold": "5 minutes"}]}, r"steps\[0\].hold"),
        ({"steps": [{"weight": 50, "hold": "5m", "minRequest": 3}]}, "did you mean 'minRequests'"),
        ({"suites": {"onStep": [{"name": "smok"}]}}, r"suites.onStep\[0\]"),
        ({"objectives": [{"signal": "ttft", "quantile": "95", "limit": "1s"}]}, "quantile"),
        ({"signals": {"gateway": {"type": "Traefik", "url": "gateway:9100"}}}, "signals.gateway.url"),
        (
            {"suites": {"schedule": [{"cron": "61 * * * *", "suites": [{"name": "smoke"}]}]}},
            r"suites.schedule\[0\].cron: expected a cron .* such as '\*/15 \* \* \* \*'.*minute \(got '61",
        ),
        ({"suites": {"schedule": [{"cron": "0 3 * * *", "suites": []}]}}, r"schedule\[0\].suites: .* 1 item"),
        ({"notify": [{"webhook": {"url": "https://chat"}}]}, r"webhook.url: unknown key; .*secretRef"),
        ({"notify": [{"webhook": {"secretRef": {"name": "h"}}, "events": ["Rolled"]}]}, "RollingBack"),
    ],
)
def test_a_wrong_guard_is_refused_by_path(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(GuardSpec, {**GUARD, **change}, "Guard chat: spec")


def test_a_schedule_is_no_part_of_what_a_change_was_approved_for() -> None:
    template = {"spec": {}}
    schedule = [{"cron": "*/5 * * * *", "suites": [{"name": "smoke"}]}]
    probed = {**GUARD, "suites": {**GUARD["suites"], "schedule": schedule}}  # type: ignore[dict-item]
    plain, scheduled = (parse(GuardSpec, document, "Guard") for document in (GUARD, probed))
    assert plan_digest(plain, template) == plan_digest(scheduled, template)


def test_both_tracks_must_differ() -> None:
    target = {**GUARD["target"], "canary": GUARD["target"]["stable"]}  # type: ignore[index,dict-item]
    with pytest.raises(ConfigurationError, match="the route cannot tell them apart"):
        parse(GuardSpec, {**GUARD, "target": target}, "Guard chat: spec")


def test_everything_but_the_action_of_a_change_is_frozen_by_its_crd() -> None:
    (change,) = (d for d in definitions() if d["spec"]["names"]["kind"] == "Change")
    schema = change["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"]
    rules = {name: [r["rule"] for r in f.get("x-kubernetes-validations", [])] for name, f in fields.items()}
    assert rules.pop("action") == []
    assert set(map(tuple, rules.values())) == {("self == oldSelf",)}


def test_the_time_of_a_suite_run_is_refused_by_the_api_where_it_is_none() -> None:
    (run,) = (d for d in definitions() if d["spec"]["names"]["kind"] == "SuiteRun")
    fields = run["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert fields["scheduledAt"]["format"] == "date-time"
