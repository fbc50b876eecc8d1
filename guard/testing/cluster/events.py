"""The two faces of Event: core/v1, which kubectl describes, and events.k8s.io/v1, which controllers write.

They are one stored object, in the core form. Other kinds only change their apiVersion between versions.
"""

from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import ResourceType

_STORAGE = ("", "events")
# core/v1 name -> events.k8s.io/v1 name; source: k8s.io/kubernetes/pkg/apis/events/v1/conversion.go
_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_BACK = {new: old for old, new in _NAMES.items()}


def converted(type_: ResourceType, document: Json) -> Json:
    """A stored object as this type's version shows it."""
    if document.get("apiVersion") == type_.api_version:
        return document
    if type_.storage == _STORAGE and type_.group:
        document = {_NAMES.get(key, key): value for key, value in document.items()}
    return document | {"apiVersion": type_.api_version}


def stored(type_: ResourceType, document: Json) -> Json:
    """An object in this type's version as it is stored."""
    if type_.storage != _STORAGE or not type_.group:
        return document
    renamed = {_BACK.get(key, key): value for key, value in document.items()}
    return renamed | {"apiVersion": "v1"}
