"""Schemas of the built-in kinds, read off the official Python client's models.

The client is generated from Kubernetes' own OpenAPI, so names, types and required members are the real
ones. What the models leave out stands in the tables below: how lists merge, and constant defaults.
Source: the `+listType`, `+patchMergeKey` and `+default` markers and SetDefaults_* in k8s.io/api v0.37.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from guard.testing.cluster.objects import Json, clone

# (model, member) -> keys of the list; the first is the strategic merge key.
_LISTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("V1PodSpec", "containers"): ("name",),
    ("V1PodSpec", "initContainers"): ("name",),
    ("V1PodSpec", "ephemeralContainers"): ("name",),
    ("V1PodSpec", "volumes"): ("name",),
    ("V1PodSpec", "imagePullSecrets"): ("name",),
    ("V1PodSpec", "hostAliases"): ("ip",),
    ("V1PodSpec", "resourceClaims"): ("name",),
    ("V1PodSpec", "schedulingGates"): ("name",),
    ("V1PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("V1Container", "env"): ("name",),
    ("V1Container", "ports"): ("containerPort", "protocol"),
    ("V1Container", "volumeMounts"): ("mountPath",),
    ("V1Container", "volumeDevices"): ("devicePath",),
    ("V1EphemeralContainer", "env"): ("name",),
    ("V1EphemeralContainer", "ports"): ("containerPort", "protocol"),
    ("V1EphemeralContainer", "volumeMounts"): ("mountPath",),
    ("V1ServiceSpec", "ports"): ("port", "protocol"),
    ("V1ServiceAccount", "secrets"): ("name",),
    ("V1ObjectMeta", "ownerReferences"): ("uid",),
    ("V1NodeStatus", "addresses"): ("type",),
    ("V1PodStatus", "podIPs"): ("ip",),
    ("V1PodStatus", "hostIPs"): ("ip",),
}
_SETS = {("V1ObjectMeta", "finalizers")}
_ATOMIC_MAPS = {"V1LabelSelector", "V1ObjectReference", "V1LocalObjectReference", "V1ObjectFieldSelector"}
_ATOMIC_MAPS |= {
    "V1SecretKeySelector",
    "V1ConfigMapKeySelector",
    "V1NodeSelector",
    "V1TypedLocalObjectReference",
}
# These hold resource.Quantity, which is written as a number or a string.
_QUANTITIES = {
    "limits",
    "requests",
    "capacity",
    "allocatable",
    "hard",
    "used",
    "overhead",
    "default",
    "max",
    "min",
}
_INT_OR_STRING = {"maxSurge", "maxUnavailable", "minAvailable", "targetPort", "port"}
# Schemas that contain themselves, and are read elsewhere (crd.py).
_OPEN = {"V1JSONSchemaProps"}

_DEFAULTS: dict[str, Json] = {
    "V1ContainerPort": {"protocol": "TCP"},
    "V1ServicePort": {"protocol": "TCP"},
    "DiscoveryV1EndpointPort": {"protocol": "TCP"},
    "V1PodSpec": {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
    },
    "V1Container": {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    },
    "V1Probe": {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
    "V1HTTPGetAction": {"scheme": "HTTP"},
    "V1ObjectFieldSelector": {"apiVersion": "v1"},
    "V1ConfigMapVolumeSource": {"defaultMode": 420},
    "V1SecretVolumeSource": {"defaultMode": 420},
    "V1Secret": {"type": "Opaque"},
    "V1DeploymentSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate"},
    },
    "V1ReplicaSetSpec": {"replicas": 1},
    "V1StatefulSetSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    },
    "V1DaemonSetSpec": {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    },
    "V1JobSpec": {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
    },
    "V1CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "V1ServiceSpec": {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    },
}
_DEFAULTS["V1EphemeralContainer"] = _DEFAULTS["V1Container"]

_SCALARS: dict[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "datetime": {"type": "string", "format": "date-time"},
    "bytes": {"type": "string", "format": "byte"},
    "object": {"x-kubernetes-preserve-unknown-fields": True},
}
_LIST = re.compile(r"^[Ll]ist\[(.+)\]$")
_DICT = re.compile(r"^(?:Dict\[str, (.+)\]|dict\(str, (.+)\))$")  # generator 7 and before


def _type_node(text: str) -> Json:
    if match := _LIST.match(text):
        return {"type": "array", "items": _type_node(match[1])}
    if match := _DICT.match(text):
        return {"type": "object", "additionalProperties": _type_node(match[1] or match[2])}
    return clone(_SCALARS[text]) if text in _SCALARS else {"$ref": f"#/definitions/{text}"}


def _list_markers(model: str, member: str) -> Json:
    keys = _LISTS.get((model, member))
    if member == "conditions" and model.endswith("Status"):
        keys = ("type",)
    if keys:
        map_list = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
        return map_list | {"x-kubernetes-patch-merge-key": keys[0], "x-kubernetes-patch-strategy": "merge"}
    if (model, member) in _SETS:
        return {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    return {}


def _member(model: str, name: str, text: str) -> Json:
    node = _type_node(text) | _list_markers(model, name)
    if name in _QUANTITIES and text.lower().startswith("dict"):
        node["additionalProperties"] = {"x-kubernetes-int-or-string": True}
    if name in _INT_OR_STRING and text == "object":
        node = {"x-kubernetes-int-or-string": True}
    default = _DEFAULTS.get(model, {}).get(name)
    return node if default is None else node | {"default": default}


def _required(model: Any) -> list[str]:
    """Required members; older clients check them in setters and do not list them."""
    fields = getattr(model, "model_fields", {})
    return [model.attribute_map[name] for name, field in fields.items() if field.is_required()]


def _models() -> ModuleType:
    """Imported when first needed: it takes most of a second."""
    import kubernetes.client.models as models

    return models


@cache
def _definition(name: str) -> Json:
    if name in _OPEN:
        return {"x-kubernetes-preserve-unknown-fields": True}
    model = getattr(_models(), name)
    members = {model.attribute_map[field]: text for field, text in model.openapi_types.items()}
    node: Json = {"type": "object", "properties": {k: _member(name, k, text) for k, text in members.items()}}
    if required := _required(model):
        node["required"] = required
    return node | ({"x-kubernetes-map-type": "atomic"} if name in _ATOMIC_MAPS else {})


class _Definitions(Mapping[str, Json]):
    """Model name -> schema, made when asked for."""

    def __getitem__(self, name: str) -> Json:
        if name not in _OPEN and not hasattr(_models(), name):
            raise KeyError(name)
        return _definition(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, item in vars(_models()).items() if hasattr(item, "openapi_types"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


DEFINITIONS: Mapping[str, Json] = _Definitions()
_PREFIXED = {("", "Event"): "CoreV1Event", ("events.k8s.io", "Event"): "EventsV1Event"}


def model_name(group: str, version: str, kind: str) -> str:
    """The model of a built-in kind; empty when the installed client does not have it."""
    name = _PREFIXED.get((group, kind), version.capitalize() + kind)
    return name if name in DEFINITIONS else ""
