"""The published schemas: made from the models, and refusing what the models refuse."""

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml

from guard.api.documents import KINDS, json_schema, read_document
from guard.errors import ConfigurationError
from tests.daemon.conftest import ROOT
from tests.daemon.harness import GUARD

SMOKE, EVAL, LOAD = ({"name": name} for name in ("smoke", "eval", "load"))
TTFT = {"signal": "ttft", "quantile": "p95", "limit": "750ms"}
DIGEST = "sha256:" + 64 * "0"


def guard(**spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "Guard", "metadata": {"name": "chat"}}
    return {**head, "spec": {**copy.deepcopy(GUARD), **spec}}


def target(**parts: Any) -> dict[str, Any]:
    merged = copy.deepcopy(GUARD["target"])
    for name, part in parts.items():
        merged[name] = {**merged.get(name, {}), **part}
    return guard(target=merged)


def change(**spec: Any) -> dict[str, Any]:
    plan = {"digest": DIGEST, "guard": GUARD, "canaryTemplate": {"spec": {}}, "stableTemplate": {}}
    whole = {"guard": "chat", "ticket": "OPS-1", "requestedBy": "me", "plan": plan, **spec}
    head = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "Change", "metadata": {"name": "ops-1"}}
    return {**head, "spec": whole}


def scheduled(cron: str, *suites: dict[str, Any]) -> dict[str, Any]:
    return guard(suites={"schedule": [{"cron": cron, "suites": list(suites)}]})


GOOD: dict[str, tuple[str, Any]] = {
    "nothing said": ("config", {}),
    "every suite": ("config", {"suites": [SMOKE, EVAL | {"items": 0}, LOAD | {"rate": "0.5"}]}),
    "objectives": ("config", {"objectives": [TTFT, {"signal": "errors", "limit": "0.5%"}]}),
    "own items": ("config", {"suites": [EVAL | {"dataset": {"file": "own.jsonl"}}]}),
    "one of two places is null": (
        "config",
        {"suites": [EVAL | {"dataset": {"file": None, "configMap": "items"}}]},
    ),
    "a guard": ("guard", guard()),
    "a guard with a key": ("guard", target(auth={"secretRef": {"name": "chat-key", "key": "token"}})),
    "a schedule": ("guard", scheduled("*/15 * * * *", SMOKE, LOAD)),
    "as the API server returns it": ("guard", guard() | {"status": {"conditions": []}}),
    "a change": ("change", change()),
    "a change to end": ("change", change(action="RollBack", risk="R3")),
}

BAD: dict[str, tuple[str, Any]] = {
    "a list": ("config", [SMOKE]),
    "unknown key": ("config", {"suite": [SMOKE]}),
    "unknown suite": ("config", {"suites": [{"name": "smok"}]}),
    "a suite without name": ("config", {"suites": [{"items": 3}]}),
    "a suite twice": ("config", {"suites": [SMOKE, SMOKE]}),
    "the policy suite twice": ("config", {"suites": [{"name": "policy"}, SMOKE, {"name": "policy"}]}),
    "the policy suite in a guard": ("guard", guard(suites={"onStep": [{"name": "policy"}]})),
    "another suite's key": ("config", {"suites": [SMOKE | {"items": 3}]}),
    "Python's spelling": ("config", {"suites": [EVAL | {"min_items": 3}]}),
    "a number as text": ("config", {"suites": [EVAL | {"items": "3"}]}),
    "a truth as number": ("config", {"suites": [EVAL | {"items": True}]}),
    "half an item": ("config", {"suites": [EVAL | {"items": 1.5}]}),
    "fewer than none": ("config", {"suites": [EVAL | {"items": -1}]}),
    "a rate as number": ("config", {"suites": [LOAD | {"rate": 2}]}),
    "a duration without unit": ("config", {"suites": [LOAD | {"duration": "30"}]}),
    "both places": ("config", {"suites": [EVAL | {"dataset": {"file": "a", "configMap": "b"}}]}),
    "no place": ("config", {"suites": [EVAL | {"dataset": {}}]}),
    "a limit as number": ("config", {"objectives": [TTFT | {"limit": 0.75}]}),
    "a quantile as number": ("config", {"objectives": [TTFT | {"quantile": 95}]}),
    "errors with a quantile": (
        "config",
        {"objectives": [{"signal": "errors", "limit": "1%", "quantile": "p95"}]},
    ),
    "an unknown policy": ("config", {"policy": "Hope"}),
    "another version": ("guard", guard() | {"apiVersion": "tidegate.dev/v1"}),
    "no metadata": ("guard", {key: part for key, part in guard().items() if key != "metadata"}),
    "no spec": ("guard", {key: part for key, part in guard().items() if key != "spec"}),
    "a key beside the spec": ("guard", guard() | {"data": {}}),
    "no steps": ("guard", guard(steps=[])),
    "a weight beyond all": ("guard", guard(steps=[{"weight": 101, "hold": "5m"}])),
    "a weight as text": ("guard", guard(steps=[{"weight": "10", "hold": "5m"}])),
    "a port as text": ("guard", target(runtime={"port": "8000"})),
    "no model": ("guard", target(runtime={"models": []})),
    "a key by value": ("guard", target(auth={"value": "hunter2"})),
    "a gateway that is no URL": (
        "guard",
        guard(signals={"gateway": {"type": "Traefik", "url": "traefik.gateway"}}),
    ),
    "a suite twice on a schedule": ("guard", scheduled("0 3 * * *", SMOKE, SMOKE)),
    "a change without ticket": (
        "change",
        change() | {"spec": {k: v for k, v in change()["spec"].items() if k != "ticket"}},
    ),
    "an unknown action": ("change", change(action="Undo")),
    "an unknown risk": ("change", change(risk="R9")),
}

# What relates two places, or wants arithmetic: no schema can say it.
BEYOND: dict[str, tuple[str, Any, str]] = {
    "weights that do not rise": (
        "guard",
        guard(steps=[{"weight": 50, "hold": "5m"}, {"weight": 50, "hold": "5m"}]),
        "weights must rise",
    ),
    "one Service for both tracks": (
        "guard",
        target(canary={"service": "chat-stable"}),
        "stable.service and canary.service are the same",
    ),
    "one workload for both tracks": (
        "guard",
        target(canary={"workload": {"name": "chat-stable"}}),
        "stable.workload and canary.workload are the same",
    ),
    "a cron that never comes": ("guard", scheduled("0 0 31 2 *", SMOKE), "expected a cron of five fields"),
}


def valid(kind: str, document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema(kind)).is_valid(document))


@pytest.mark.parametrize(("kind", "document"), GOOD.values(), ids=GOOD.keys())
def test_what_we_take_the_schema_takes(kind: str, document: Any) -> None:
    assert read_document(document, "file") == kind
    assert valid(kind, document)


@pytest.mark.parametrize(("kind", "document"), BAD.values(), ids=BAD.keys())
def test_what_we_refuse_the_schema_refuses(kind: str, document: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^file: "):
        read_document(document, "file")
    assert not valid(kind, document)


@pytest.mark.parametrize(("kind", "document", "message"), BEYOND.values(), ids=BEYOND.keys())
def test_what_no_schema_can_say_we_refuse_all_the_same(kind: str, document: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_document(document, "file")
    assert valid(kind, document), "then it belongs to BAD"


def test_a_document_of_another_kind_is_refused_by_its_kind() -> None:
    with pytest.raises(ConfigurationError, match=r"kind: expected one of Guard, Change \(got 'Deployment'\)"):
        read_document({"apiVersion": "apps/v1", "kind": "Deployment"}, "file")


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_schemas_are_made_from_the_models(kind: str) -> None:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    published = json.loads((ROOT / f"deploy/schemas/{kind}.json").read_text())
    assert published == schema, "run: make generated"


def test_every_shipped_guard_names_its_schema_and_is_valid() -> None:
    guards = [f for f in ROOT.glob("stack/manifests/**/*.yaml") if "\nkind: Guard\n" in f.read_text()]
    assert len(guards) >= 2
    for file in guards:
        text = file.read_text()
        header = text.splitlines()[0]
        assert header.startswith("# yaml-language-server: $schema="), file
        named = file.parent / header.partition("=")[2]
        assert named.resolve() == (ROOT / "deploy/schemas/guard.json").resolve()
        (document,) = yaml.safe_load_all(text)
        assert read_document(document, str(file)) == "guard"
        assert valid("guard", document)
