"""The API server's refusals: `StatusError`, and one function for each reason that clients tell apart.

Clients decide by `reason` and `code`, people read `message`; both are worded as kube-apiserver words them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guard.testing.cluster.objects import Json

if TYPE_CHECKING:
    from guard.testing.cluster.resources import ResourceType


@dataclass(frozen=True)
class Cause:
    """One reason for a refusal: `reason` as in metav1.CauseType, `field` as a path like `spec.rules[0]`."""

    reason: str
    message: str
    field: str = ""

    def to_json(self) -> Json:
        body = {"reason": self.reason, "message": self.message}
        return body | {"field": self.field} if self.field else body


class StatusError(Exception):
    """A request refused; `to_json` is the metav1.Status that goes back."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_json(self) -> Json:
        body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": self.message} | ({"reason": self.reason} if self.reason else {})
        if self.details is not None:
            body["details"] = self.details
        return body | {"code": self.code}


def _details(type_: "ResourceType", name: str) -> Json:
    return {
        key: text for key, text in (("name", name), ("group", type_.group), ("kind", type_.plural)) if text
    }


def not_found(type_: "ResourceType", name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{type_.qualified} "{name}" not found', _details(type_, name))


def unknown_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(type_: "ResourceType", name: str) -> StatusError:
    message = f'{type_.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(type_, name))


def conflict(type_: "ResourceType", name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {type_.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(type_, name))


def stale(type_: "ResourceType", name: str) -> StatusError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(type_, name, why)


def apply_conflict(causes: Sequence[Cause]) -> StatusError:
    """Server-side apply met fields of other managers; each cause names one."""
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines = []
        for text in sorted({cause.message for cause in causes}):
            lines.append(text.replace("conflict with", "conflicts with") + ":")
            lines += [f"- {cause.field}" for cause in causes if cause.message == text]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": [cause.to_json() for cause in causes]})


def invalid(type_: "ResourceType", name: str, causes: Sequence[Cause]) -> StatusError:
    listed = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    text = listed[0] if len(listed) == 1 else "[" + ", ".join(listed) + "]"
    kind = f"{type_.kind}.{type_.group}" if type_.group else type_.kind
    details: Json = _details(type_, name) | {
        "kind": type_.kind,
        "causes": [cause.to_json() for cause in causes],
    }
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def other_kind(type_: "ResourceType", name: str, given: str) -> StatusError:
    """A custom resource's body names another kind."""
    cause = Cause("FieldValueInvalid", f'Invalid value: "{given}": must be {type_.kind}', "kind")
    details = _details(type_, name) | {"kind": given, "causes": [cause.to_json()]}
    message = f'{given}.{type_.group} "{name}" is invalid: kind: {cause.message}'
    return StatusError(422, "Invalid", message, details)


def invalid_options(kind: str, cause: Cause) -> StatusError:
    """Query parameters or options of a request that a kind of metav1 describes: `ListOptions`, say."""
    details = {"group": "meta.k8s.io", "kind": kind, "causes": [cause.to_json()]}
    message = f'{kind}.meta.k8s.io "" is invalid: {cause.field}: {cause.message}'
    return StatusError(422, "Invalid", message, details)


def no_field_manager() -> StatusError:
    cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
    return invalid_options("PatchOptions", cause)


def no_match_rule() -> StatusError:
    why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    return invalid_options("ListOptions", Cause("FieldValueForbidden", why, "resourceVersionMatch"))


def match_without_revision() -> StatusError:
    why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    return invalid_options("ListOptions", Cause("FieldValueForbidden", why, "resourceVersionMatch"))


def unknown_policy(given: str) -> StatusError:
    offered = '"Foreground", "Background", "Orphan", "nil"'
    why = f'Unsupported value: "{given}": supported values: {offered}'
    return invalid_options("DeleteOptions", Cause("FieldValueNotSupported", why, "propagationPolicy"))


def untyped(type_: "ResourceType", name: str, why: str) -> StatusError:
    """What server-side apply cannot read by the schema: the API server calls it an internal error."""
    what = f"(/{name}; {type_.api_version}, Kind={type_.kind})"
    return StatusError(500, "", f"failed to create typed patch object {what}: {why}")


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(type_: "ResourceType", name: str, why: str) -> StatusError:
    message = f'{type_.qualified} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(type_, name))


def expired(message: str) -> StatusError:
    """410: the revision or the continue token is gone, list again."""
    return StatusError(410, "Expired", message)


def future_revision(wanted: int, current: int) -> StatusError:
    message = f"Too large resource version: {wanted}, current: {current}"
    cause = Cause("ResourceVersionTooLarge", "Too large resource version").to_json()
    return StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def not_acceptable(offered: Sequence[str]) -> StatusError:
    message = f"only the following media types are accepted: {', '.join(offered)}"
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(offered: Sequence[str]) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: "
    return StatusError(415, "UnsupportedMediaType", message + ", ".join(offered))


def success(details: Json) -> Json:
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return body | {"details": details}
