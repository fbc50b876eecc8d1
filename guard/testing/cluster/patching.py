"""The four PATCH content types, as one function from an object to the object after the patch."""

from collections.abc import Callable
from typing import Any

from guard.testing.cluster.objects import Json
from guard.testing.cluster.patches import json_patch, merge_patch
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.statuses import bad_request, unsupported_media_type
from guard.testing.cluster.strategic import strategic_merge

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH, STRATEGIC_PATCH)


def patch_function(type_: ResourceType, content_type: str, patch: Any) -> Callable[[Json], Json]:
    """What the patch does to an object; server-side apply is not here, it also creates.

    Raises:
        StatusError: 415 for an unknown content type, and for strategic patches of custom resources.
    """
    if content_type == JSON_PATCH:
        return lambda document: _object(json_patch(document, patch))
    if content_type == MERGE_PATCH:
        return lambda document: _object(merge_patch(document, patch))
    if content_type == STRATEGIC_PATCH and not type_.custom:
        return lambda document: _object(strategic_merge(type_, document, patch))
    offered = [item for item in PATCH_TYPES if not (type_.custom and item == STRATEGIC_PATCH)]
    raise unsupported_media_type(offered)


def patch_scale(content_type: str, scale: Json, patch: Any) -> Json:
    """A Scale after a patch; no list in it merges, so strategic and merge patch are the same."""
    return _object(json_patch(scale, patch) if content_type == JSON_PATCH else merge_patch(scale, patch))


def _object(document: Any) -> Json:
    if not isinstance(document, dict):
        raise bad_request("the patch does not leave an object")
    return document
