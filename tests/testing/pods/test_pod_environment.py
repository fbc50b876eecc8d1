"""A container's variables and words, by Kubernetes' rules."""

import base64
from typing import Any

import pytest

from guard.errors import ConfigurationError, NotFoundError
from guard.testing.pods.environment import command_line, environment, expand

POD = {
    "metadata": {"name": "chat-1", "namespace": "inference", "uid": "u", "labels": {"track": "canary"}},
    "spec": {},
    "status": {"podIP": "127.20.0.9"},
}
OBJECTS = {
    ("ConfigMap", "settings"): {"data": {"LEVEL": "debug"}},
    ("Secret", "keys"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
}


def lookup(kind: str, name: str) -> dict[str, Any]:
    if (kind, name) not in OBJECTS:
        raise NotFoundError(f"{kind} {name} not found")
    return OBJECTS[kind, name]


def env_of(*entries: dict[str, Any], base: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    return environment({"env": list(entries), **more}, POD, lookup, base or {})


def from_field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://$(IP):80", "http://127.0.0.1:80"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(IP)", "$(IP)"),
        ("$IP ${IP}", "$IP ${IP}"),
    ],
)
def test_only_known_references_expand(text: str, expected: str) -> None:
    assert expand(text, {"IP": "127.0.0.1"}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("status.podIP", "127.20.0.9"),
        ("metadata.name", "chat-1"),
        ("metadata.namespace", "inference"),
        ("metadata.labels['track']", "canary"),
    ],
)
def test_fields_of_the_pod_become_variables(path: str, expected: str) -> None:
    assert env_of(from_field(path)) == {"X": expected}


def test_a_variable_may_use_those_before_it() -> None:
    found = env_of({"name": "HOST", "value": "h"}, {"name": "URL", "value": "http://$(HOST)"})
    assert found["URL"] == "http://h"


def test_configmaps_and_secrets_become_variables_one_by_one_and_whole() -> None:
    reference = {"secretKeyRef": {"name": "keys", "key": "token"}}
    found = env_of(
        {"name": "TOKEN", "valueFrom": reference},
        envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "APP_"}],
    )
    assert found == {"TOKEN": "s3cret", "APP_LEVEL": "debug"}


def test_what_the_machine_sets_cannot_be_overridden() -> None:
    assert env_of({"name": "POD_ROOT", "value": ""}, base={"POD_ROOT": "/pods/1"})["POD_ROOT"] == "/pods/1"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ({"secretKeyRef": {"name": "absent", "key": "token"}}, "absent"),
        ({"secretKeyRef": {"name": "keys", "key": "absent"}}, "absent"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "resourceFieldRef"),
        ({"fieldRef": {"fieldPath": "status.absent"}}, "status.absent"),
    ],
)
def test_an_unresolved_source_is_an_error_that_names_it(source: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        env_of({"name": "X", "valueFrom": source})


def test_an_optional_reference_to_nothing_sets_no_variable() -> None:
    reference = {"configMapKeyRef": {"name": "absent", "key": "k", "optional": True}}
    assert env_of({"name": "X", "valueFrom": reference}) == {}


def test_a_container_without_a_command_is_refused_because_a_prefix_has_no_entrypoint() -> None:
    with pytest.raises(ConfigurationError, match="no command"):
        command_line({"name": "web", "args": ["--port=80"]}, {})


def test_command_and_arguments_are_expanded() -> None:
    container = {"name": "web", "command": ["serve"], "args": ["--host=$(POD_IP)"]}
    assert list(command_line(container, {"POD_IP": "127.20.0.9"})) == ["serve", "--host=127.20.0.9"]
