"""CustomResourceDefinitions: what they serve, and the status that the server gives them.

A definition is Established in the write that creates it. `openAPIV3Schema` is applied on writes (see
`structural.py`): pruning, defaults, validation. CEL rules (`x-kubernetes-validations`) are NOT evaluated,
and neither conversion webhooks nor version conversion exist: another version of the same object differs
in its apiVersion only.
"""

from typing import Any

from guard.testing.cluster.jsonpath import find
from guard.testing.cluster.objects import Json, clone, name_of, timestamp
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.statuses import Cause


def violations(definition: Json) -> list[Cause]:
    """Why a definition cannot be served."""
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    causes = [
        Cause("FieldValueRequired", "Required value", f"spec.{path}")
        for path, value in (
            ("group", spec.get("group")),
            ("names.plural", names.get("plural")),
            ("names.kind", names.get("kind")),
            ("versions", spec.get("versions")),
        )
        if not value
    ]
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        message = f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"'
        causes.append(Cause("FieldValueNotSupported", message, "spec.scope"))
    expected = f"{names.get('plural')}.{spec.get('group')}"
    if name_of(definition) != expected:
        message = f'Invalid value: "{name_of(definition)}": must be spec.names.plural+"."+spec.group'
        causes.append(Cause("FieldValueInvalid", message, "metadata.name"))
    if sum(bool(version.get("storage")) for version in spec.get("versions") or []) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        causes.append(Cause("FieldValueInvalid", message, "spec.versions"))
    causes += [
        Cause("FieldValueRequired", "Required value: schemas are required", f"spec.versions[{index}].schema")
        for index, version in enumerate(spec.get("versions") or [])
        if not ((version.get("schema") or {}).get("openAPIV3Schema"))
    ]
    return causes + _unreadable_columns(spec)


def _unreadable_columns(spec: Json) -> list[Cause]:
    causes = []
    for row, version in enumerate(spec.get("versions") or []):
        for number, column in enumerate(version.get("additionalPrinterColumns") or []):
            path = column.get("jsonPath", "")
            try:
                find(path, {})
            except ValueError as error:
                field = f"spec.versions[{row}].additionalPrinterColumns[{number}].jsonPath"
                causes.append(Cause("FieldValueInvalid", f'Invalid value: "{path}": {error}', field))
    return causes


def _condition(kind: str, reason: str, message: str, since: str) -> Json:
    fields = {"type": kind, "status": "True", "reason": reason, "message": message}
    return fields | {"lastTransitionTime": since}


def established(definition: Json) -> Json:
    """The definition with its names filled in and the conditions that clients wait for."""
    result: Json = clone(definition)
    spec = result["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    status = result.setdefault("status", {})
    status["acceptedNames"] = clone(names)
    status.setdefault("storedVersions", [row["name"] for row in spec["versions"] if row.get("storage")])
    if not status.get("conditions"):
        since = timestamp()
        status["conditions"] = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", since),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", since),
        ]
    return result


def served_types(definition: Json) -> list[ResourceType]:
    """One type for each served version, the storage version first."""
    spec = definition["spec"]
    versions = sorted(spec["versions"], key=lambda row: not row.get("storage"))
    return [_type(spec, version) for version in versions if version.get("served", True)]


def _type(spec: Json, version: Json) -> ResourceType:
    names: dict[str, Any] = spec["names"]
    subresources = version.get("subresources") or {}
    return ResourceType(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        subresources=frozenset(subresources) & {"status", "scale"},
        categories=tuple(names.get("categories") or ()),
        counts_generation=True,
        singular=names["singular"],
        list_kind=names["listKind"],
        custom=True,
        schema=version["schema"]["openAPIV3Schema"],
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        scale=subresources.get("scale"),
        selectable=tuple(row["jsonPath"][1:] for row in version.get("selectableFields") or ()),
    )
