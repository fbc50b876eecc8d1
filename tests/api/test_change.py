"""Claims about the digests of a frozen plan."""

from typing import Any

import pytest

from guard.api.change import ChangeSpec, freeze, frozen_digest, plan_digest
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from tests.daemon.harness import CANARY, GUARD, STABLE


def guard(**changes: Any) -> GuardSpec:
    return parse(GuardSpec, {**GUARD, **changes}, "Guard")


def one_step(**changes: Any) -> GuardSpec:
    return guard(steps=[{"weight": 10, "hold": "20s", **changes}])


def spec(**changes: Any) -> ChangeSpec:
    plan = freeze(guard(), CANARY, STABLE)
    return ChangeSpec(guard="chat", ticket="OPS-1", requested_by="ann", plan=plan).model_copy(update=changes)


def test_a_plan_survives_its_way_through_the_api() -> None:
    plan = freeze(guard(), CANARY, STABLE)
    read = parse(GuardSpec, plan.to_document()["guard"], "Change: spec.plan.guard")
    assert plan_digest(read, CANARY) == plan.digest


def test_a_default_is_the_same_plan_written_out_or_not() -> None:
    assert plan_digest(one_step(minRequests=200), CANARY) == plan_digest(one_step(), CANARY)


@pytest.mark.parametrize(
    ("other", "template"),
    [
        (one_step(hold="21s"), CANARY),
        (one_step(minRequests=2), CANARY),
        (one_step(), STABLE),
        (guard(steps=[{"weight": 10, "hold": "20s"}], suites={}), CANARY),
        (
            guard(steps=[{"weight": 10, "hold": "20s"}], objectives=[{"signal": "errors", "limit": "1%"}]),
            CANARY,
        ),
    ],
    ids=["hold", "sample size", "template", "suites", "objectives"],
)
def test_another_plan_has_another_digest(other: GuardSpec, template: dict[str, Any]) -> None:
    assert plan_digest(other, template) != plan_digest(one_step(), CANARY)


def test_all_of_a_change_is_frozen_but_its_action() -> None:
    frozen = frozen_digest(spec())
    assert frozen_digest(spec(action="Hold")) == frozen
    other_stable = freeze(guard(), CANARY, CANARY)
    for edit in ({"ticket": "OPS-2"}, {"risk": "R0"}, {"requested_by": "bob"}, {"plan": other_stable}):
        assert frozen_digest(spec(**edit)) != frozen
