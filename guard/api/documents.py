"""A whole document as a file holds it, the JSON Schema of each kind, and which kind a document is.

Owns the frame around a Guard's or Change's spec, and the schemas that editors and pipelines read. They are
made from the models that refuse, so that both know the same fields. Two rules that a model says in code are
added by hand (each suite once, one place for a data set). Three are beyond JSON Schema, and refused only when
a document is read: weights that do not rise, two tracks that are one, a cron that never comes.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import ConfigDict

from guard.api.change import ChangeSpec
from guard.api.fields import Strict, parse
from guard.api.guard import GuardSpec
from guard.api.suites import GateSuite, SuitesConfig
from guard.errors import ConfigurationError

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class _Object(Strict):
    """What Kubernetes adds to a spec."""

    api_version: Literal["tidegate.dev/v1alpha1"]
    metadata: Mapping[str, Any]
    status: Mapping[str, Any] | None = None


class GuardDocument(_Object):
    """The standing policy of one served model (docs/guard.md)."""

    model_config = ConfigDict(title="Guard")

    kind: Literal["Guard"]
    spec: GuardSpec


class ChangeDocument(_Object):
    """One change going through a Guard; `tidegate change open` writes it."""

    model_config = ConfigDict(title="Change")

    kind: Literal["Change"]
    spec: ChangeSpec


KINDS: Mapping[str, type[Strict]] = {
    "config": SuitesConfig,
    "guard": GuardDocument,
    "change": ChangeDocument,
}

_OBJECTS = {"Guard": "guard", "Change": "change"}
_SUITE_NAMES = [
    get_args(suite.model_fields["name"].annotation)[0] for suite in get_args(get_args(GateSuite)[0])
]
_EACH_ONCE = [
    {
        "contains": {"type": "object", "properties": {"name": {"const": name}}, "required": ["name"]},
        "minContains": 0,
        "maxContains": 1,
    }
    for name in _SUITE_NAMES
]
_ONE_PLACE = [
    {"properties": {name: {"type": "string"}}, "required": [name]} for name in ("file", "configMap")
]


def read_document(document: object, where: str) -> str:
    """Which kind a document is, when nothing in it is refused.

    Raises:
        ConfigurationError: As `guard.api.fields.parse`; or it is an object of another kind.
    """
    kind = "config"
    if isinstance(document, Mapping) and "kind" in document:
        name = str(document["kind"])
        if name not in _OBJECTS:
            raise ConfigurationError(f"{where}: kind: expected one of {', '.join(_OBJECTS)} (got {name!r})")
        kind = _OBJECTS[name]
    parse(KINDS[kind], document, where)
    return kind


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one of KINDS."""
    schema = _untitled(KINDS[kind].model_json_schema(by_alias=True))
    parts = schema.get("$defs", {})
    for part in (schema if kind == "config" else {}, parts.get("Scheduled", {})):
        if part:
            part["properties"]["suites"]["allOf"] = _EACH_ONCE
    if "Dataset" in parts:
        parts["Dataset"]["oneOf"] = _ONE_PLACE
    title = KINDS[kind].model_config.get("title") or "Tidegate --config"
    return {"$schema": DRAFT, "title": title, **schema}


def _untitled(node: Any) -> Any:
    """Without pydantic's titles, which repeat the names in another spelling."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    named = ("properties", "$defs")
    return {
        key: {name: _untitled(part) for name, part in value.items()} if key in named else _untitled(value)
        for key, value in node.items()
        if key != "title"
    }
