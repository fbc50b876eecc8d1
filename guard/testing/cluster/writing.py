"""The way of an object into the store: what a write may change, and what the server makes of it.

In the API server's order: identity and optimistic concurrency, isolation of the status subresource, then
`finish`: schema, defaults, rules, managed fields, generation.
"""

import json

from guard.testing.cluster import crd, rules, statuses
from guard.testing.cluster.defaults import complete
from guard.testing.cluster.objects import Json, clone, is_terminating, metadata, name_of, without_nulls
from guard.testing.cluster.requests import WriteOptions
from guard.testing.cluster.resources import CRD_STORAGE, ResourceType
from guard.testing.cluster.schema import schema_of
from guard.testing.cluster.shaping import defaulted, pruned, unknown_fields, without_idle_nulls
from guard.testing.cluster.statuses import Cause
from guard.testing.cluster.validation import violations

_CONDITIONAL = {"Lease", "CustomResourceDefinition"}  # built-in kinds that refuse blind updates
_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def keep_identity(type_: ResourceType, old: Json, document: Json, *, replaces: bool) -> Json:
    """The new state with the fields that only the server sets; edits `document`.

    Args:
        replaces: The client sent the whole object (PUT): its uid is then a precondition.
    Raises:
        StatusError: 409 for a stale resourceVersion or, replaced, another uid, 422 for a patched uid and for
            no resourceVersion where the kind needs one, 400 for another name.
    """
    fields, before = metadata(document), metadata(old)
    for field in ("name", "namespace"):
        given = fields.setdefault(field, before.get(field)) if field in before else fields.pop(field, None)
        if field in before and given != before[field]:
            message = (
                f"the {field} of the object ({given}) does not match the {field} on the URL ({before[field]})"
            )
            raise statuses.bad_request(message)
    if fields.get("uid", before["uid"]) != before["uid"] and not replaces:
        message = f'Invalid value: "{fields["uid"]}": field is immutable'
        raise statuses.invalid(type_, name_of(old), [Cause("FieldValueInvalid", message, "metadata.uid")])
    if fields.get("uid", before["uid"]) != before["uid"]:
        why = (
            f"Precondition failed: UID in precondition: {fields['uid']}, UID in object meta: {before['uid']}"
        )
        raise statuses.conflict(type_, name_of(old), why)
    wanted = fields.get("resourceVersion")
    if not wanted and (type_.custom or type_.kind in _CONDITIONAL):
        message = "Invalid value: 0: must be specified for an update"
        cause = Cause("FieldValueInvalid", message, "metadata.resourceVersion")
        raise statuses.invalid(type_, name_of(old), [cause])
    if wanted and wanted != before["resourceVersion"]:
        raise statuses.stale(type_, name_of(old))
    fields["resourceVersion"] = before["resourceVersion"]
    for field in _SERVER_OWNED:
        fields.pop(field, None)
        if field in before:
            fields[field] = before[field]
    return document


def isolate(type_: ResourceType, subresource: str, old: Json | None, document: Json) -> Json:
    """Let `/status` change only status, and the main endpoint everything but status."""
    if subresource == "status":
        changed: Json = clone(old)
        changed.pop("status", None)
        if "status" in document:
            changed["status"] = document["status"]
        return changed
    registers_itself = old is None and type_.kind == "Node"  # kubelets bring their status along
    if "status" in type_.subresources and not registers_itself:
        document.pop("status", None)
        if old and "status" in old:
            document["status"] = clone(old["status"])
    return document


def _spec_part(type_: ResourceType, document: Json) -> Json:
    ignored = {"metadata", "apiVersion", "kind"}
    if not type_.custom or "status" in type_.subresources:
        ignored.add("status")
    return {key: value for key, value in document.items() if key not in ignored}


def _check_finalizers(old: Json, document: Json) -> list[Cause]:
    added = set(metadata(document).get("finalizers") or []) - set(metadata(old).get("finalizers") or [])
    if not is_terminating(old) or not added:
        return []
    message = (
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
    )
    return [Cause("FieldValueForbidden", f"{message}{sorted(added)}", "metadata.finalizers")]


def finish(type_: ResourceType, old: Json | None, document: Json, options: WriteOptions) -> Json:
    """The object as it will be stored; edits `document`.

    Raises:
        StatusError: 422 naming the paths; 400 for what does not decode, unknown fields under Strict included.
    """
    is_new_definition = old is None and type_.storage == CRD_STORAGE and options.validation != "Warn"
    document = (_new_definition if is_new_definition else _shape)(type_, document, options)
    causes = _check_finalizers(old, document) if old else []
    if type_.storage == CRD_STORAGE:
        causes += crd.violations(document)
    if not causes:
        document = complete(type_.group, type_.kind, document, old)
        causes += rules.broken(type_, document, old)
    if causes:
        raise statuses.invalid(type_, name_of(document), causes)
    if old is not None and type_.counts_generation and _spec_part(type_, old) != _spec_part(type_, document):
        metadata(document)["generation"] = metadata(old).get("generation", 1) + 1
    return document


_definitions: dict[str, Json] = {}  # new ones by their text, as shaped: every cluster gets the same few


def _new_definition(type_: ResourceType, document: Json, options: WriteOptions) -> Json:
    """A CRD's document is large, and shaping it costs as much as the rest of a small cluster's start."""
    fields = metadata(document)
    own = {field: fields.pop(field) for field in ("uid", "creationTimestamp")}
    text = json.dumps([options.validation, document], sort_keys=True, default=repr)
    if text not in _definitions:
        _definitions[text] = _shape(type_, document, options)
    shaped: Json = clone(_definitions[text])
    metadata(shaped).update(own)
    return shaped


def _shape(type_: ResourceType, document: Json, options: WriteOptions) -> Json:
    """The document with its schema applied: unknown fields, defaults, validation."""
    schema = schema_of(type_)
    document = without_idle_nulls(schema, document) if type_.custom else without_nulls(document)
    _check_label_types(type_, document)
    unknown = [f'unknown field "{path}"' for path in unknown_fields(schema, document)]
    if unknown and options.validation == "Strict":
        raise _undecodable(type_, "strict decoding error: " + ", ".join(unknown))
    if options.validation == "Warn":
        options.warnings.extend(unknown)
    shaped: Json = defaulted(schema, pruned(schema, document))
    causes = violations(schema, shaped)
    if not type_.custom:
        causes = [cause for cause in causes if not _lenient(cause)]
    wrong = [cause for cause in causes if cause.reason == "FieldValueTypeInvalid"]
    if wrong and not type_.custom:
        raise _undecodable(type_, f"json: cannot unmarshal: {wrong[0].field}: {wrong[0].message}")
    if causes:
        raise statuses.invalid(type_, name_of(document), causes)
    return shaped


def _check_label_types(type_: ResourceType, document: Json) -> None:
    for field in ("labels", "annotations"):
        given = metadata(document).get(field) or {}
        if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
            raise _undecodable(type_, f"json: cannot unmarshal into Go struct field ObjectMeta.{field}")


def _lenient(cause: Cause) -> bool:
    """Members that OpenAPI calls required and the server takes empty: in status, and `endpoints`."""
    return cause.reason == "FieldValueRequired" and cause.field.startswith(("status.", "endpoints"))


def _undecodable(type_: ResourceType, why: str) -> statuses.StatusError:
    where = f'{type_.kind} in version "{type_.version}" cannot be handled as a {type_.kind}'
    return statuses.bad_request(f"{where}: {why}")
