"""Claims about reading a route's weights and the one patch that moves them."""

from typing import Any

import pytest

from guard.adapters.routers.httproute import RouteState, read_route, weight_patch
from guard.core.change import RoutePhase
from guard.errors import ConfigurationError


def document(*rules: list[dict[str, Any]], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": "chat", "namespace": "inference", "uid": "u1", "resourceVersion": "7"}
    return {
        "metadata": {**metadata, **({"annotations": annotations} if annotations else {})},
        "spec": {"rules": [{"backendRefs": refs} for refs in rules]},
    }


def ref(name: str, weight: int | None = None) -> dict[str, Any]:
    return {"name": name, "port": 8000, **({} if weight is None else {"weight": weight})}


def read(route: dict[str, Any]) -> RouteState:
    return read_route(route, "stable", "canary")


@pytest.mark.parametrize(
    ("stable", "canary", "percent"),
    [(100, 0, 0), (50, 50, 50), (0, 100, 100), (999, 1, 1), (None, None, 50), (0, 0, 0)],
    ids=[
        "none",
        "half",
        "all",
        "a trace is never zero",
        "no weights mean one each",
        "both zero send nothing",
    ],
)
def test_share_of_the_canary(stable: int | None, canary: int | None, percent: int) -> None:
    assert read(document([ref("stable", stable), ref("canary", canary)])).weight_percent == percent


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([[ref("stable", 1)]], "must be exactly stable and canary, found stable"),
        ([[ref("stable", 1), ref("canary", 0), ref("third", 1)]], "found stable, canary, third"),
        ([[ref("other", 1)]], "no rule has the backendRefs stable and canary"),
        ([[ref("stable", 1), ref("canary", 0)], [ref("stable", 1), ref("canary", 1)]], "different weights"),
    ],
    ids=["the canary is missing", "a third backend", "neither is there", "rules disagree"],
)
def test_a_route_that_is_not_as_stated_is_refused_by_name(rules: list[Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(document(*rules))


def test_the_patch_tests_everything_that_it_relies_on() -> None:
    annotations = {"tidegate.dev/phase": "Progressing", "tidegate.dev/change": "ops-1"}
    state = read(document([ref("stable", 90), ref("canary", 10)], annotations=annotations))
    patch = weight_patch(state, 0, RoutePhase.ROLLING_BACK, "ops-1")
    tests = {o["path"]: o["value"] for o in patch if o["op"] == "test"}
    assert tests == {
        "/metadata/uid": "u1",
        "/metadata/annotations/tidegate.dev~1phase": "Progressing",
        "/metadata/annotations/tidegate.dev~1change": "ops-1",
        "/spec/rules/0/backendRefs/0/name": "stable",
        "/spec/rules/0/backendRefs/0/weight": 90,
        "/spec/rules/0/backendRefs/1/name": "canary",
        "/spec/rules/0/backendRefs/1/weight": 10,
    }


def test_a_route_that_was_never_ours_is_guarded_by_its_version() -> None:
    state = read(document([ref("stable", 1), ref("canary", 0)]))
    patch = weight_patch(state, 0, RoutePhase.PROGRESSING, "ops-1")
    assert {"op": "test", "path": "/metadata/resourceVersion", "value": "7"} in patch
    written = next(o for o in patch if o["path"] == "/metadata/annotations")
    assert written["value"] == {"tidegate.dev/phase": "Progressing", "tidegate.dev/change": "ops-1"}
