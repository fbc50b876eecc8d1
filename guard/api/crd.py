"""The CustomResourceDefinitions of Guard, Change and SuiteRun, made from the models.

`python -m guard.api.crd > deploy/crds.yaml` writes them; a test holds the file to this module. `$ref` is
inlined, because a CRD's schema has none, and what OpenAPI v3 as Kubernetes reads it lacks is rewritten.
"""

import sys
from typing import Any

from guard.api.change import ChangeSpec
from guard.api.fields import Strict
from guard.api.guard import GuardSpec
from guard.api.suite_run import SuiteRunSpec

GROUP, VERSION = "tidegate.dev", "v1alpha1"

_KEPT = {
    "type", "properties", "required", "items", "enum", "pattern", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "description", "default", "format",
}  # fmt: skip

# What was approved and judged stays what it was: a CEL transition rule each. The daemon holds the Change
# where an API server knows no CEL.
_FROZEN: dict[type[Strict], tuple[str, ...]] = {
    ChangeSpec: ("guard", "ticket", "risk", "requestedBy", "plan")
}


def definitions() -> list[dict[str, Any]]:
    """All CRDs, ready to apply."""
    return [
        _definition("Guard", ["tguard"], GuardSpec, _GUARD_COLUMNS),
        _definition("Change", ["chg"], ChangeSpec, _CHANGE_COLUMNS),
        _definition("SuiteRun", ["srun"], SuiteRunSpec, _SUITE_RUN_COLUMNS),
    ]


_GUARD_COLUMNS = [
    ("Enforcement", "string", ".spec.enforcement", 0),
    ("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status', 0),
    ("Change", "string", ".status.change", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
]
_CHANGE_COLUMNS = [
    ("Guard", "string", ".spec.guard", 0),
    ("Phase", "string", ".status.phase", 0),
    ("Step", "string", ".status.stepText", 0),
    ("Weight", "integer", ".status.weight", 0),
    ("Verdict", "string", ".status.verdict", 0),
    ("Reason", "string", ".status.reason", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Ticket", "string", ".spec.ticket", 1),
    ("Risk", "string", ".spec.risk", 1),
    ("Detail", "string", ".status.message", 1),
]
_SUITE_RUN_COLUMNS = [
    ("Guard", "string", ".spec.guard", 0),
    ("Suite", "string", ".spec.suite.name", 0),
    ("Verdict", "string", ".status.verdict", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Endpoint", "string", ".spec.endpoint", 1),
    ("Detail", "string", ".status.message", 1),
]


def _definition(
    kind: str, short_names: list[str], spec: type[Strict], columns: list[tuple[str, str, str, int]]
) -> dict[str, Any]:
    plural = kind.lower() + "s"
    printer = [
        {"name": name, "type": kind_, "jsonPath": path, "priority": priority}
        for name, kind_, path, priority in columns
    ]
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": printer,
        "schema": {"openAPIV3Schema": _object_schema(spec)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind, "plural": plural, "singular": kind.lower(), "shortNames": short_names,
                "categories": ["tidegate"],
            },
            "versions": [version],
        },
    }  # fmt: skip


def _object_schema(spec: type[Strict]) -> dict[str, Any]:
    schema = spec.model_json_schema(by_alias=True)
    inlined = _inlined(schema, schema.get("$defs", {}))
    for name in _FROZEN.get(spec, ()):
        message = f"{name} may not be edited; close this Change and open a new one"
        inlined["properties"][name]["x-kubernetes-validations"] = [
            {"rule": "self == oldSelf", "message": message}
        ]
    return {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": inlined,
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }


def _inlined(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """One schema node in Kubernetes' structural form."""
    if "$ref" in schema:
        return _inlined(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if "anyOf" in schema:  # `X | None`: in a CRD, a field that may be absent is simply not required
        return _inlined(next(part for part in schema["anyOf"] if part.get("type") != "null"), defs)
    if "oneOf" in schema:
        return _merged([_inlined(part, defs) for part in schema["oneOf"]])
    if "const" in schema:
        return {"type": "string", "enum": [schema["const"]]}
    kept = {key: value for key, value in schema.items() if key in _KEPT and value is not None}
    if "properties" in kept:
        kept["properties"] = {name: _inlined(part, defs) for name, part in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _inlined(kept["items"], defs)
    if kept.get("type") == "object" and "properties" not in kept:
        kept["x-kubernetes-preserve-unknown-fields"] = True
    return kept


def _merged(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """A tagged union as one object: structural schemas have no oneOf with properties.

    What a tag forbids is refused by the guard instead, in a condition that names the key.
    """
    properties: dict[str, Any] = {}
    for variant in variants:
        for name, part in variant["properties"].items():
            known = properties.setdefault(name, {**part, "enum": []} if "enum" in part else dict(part))
            known.pop("default", None)
            if "enum" in part:
                known["enum"] = sorted({*known["enum"], *part["enum"]})
            elif known.get("pattern") != part.get("pattern"):
                known.pop("pattern", None)
    required = set.intersection(*(set(variant.get("required", [])) for variant in variants))
    return {"type": "object", "properties": properties, "required": sorted(required)}


def main() -> None:
    """Writes all definitions as YAML to stdout."""
    import yaml

    sys.stdout.write("# Made by `python -m guard.api.crd`; edit the models in guard/api instead.\n")
    yaml.safe_dump_all(definitions(), sys.stdout, sort_keys=False, width=110)


if __name__ == "__main__":
    main()
