"""What the API server fills in by itself on built-in kinds, beyond the constants of their schemas.

Constants (a port's protocol, a pod's restartPolicy) stand in `builtin_schema.py`; here are the values
that depend on the object, on its previous state or on a counter.
"""

import base64
import itertools
from collections.abc import Callable

from guard.testing.cluster import crd
from guard.testing.cluster.objects import Json, metadata, name_of

_addresses = itertools.count(1)

Defaulter = Callable[[Json, Json | None], Json]


def _namespace(document: Json, old: Json | None) -> Json:
    labels = metadata(document).setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = name_of(document)
    document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    document.setdefault("status", {}).setdefault("phase", "Active")
    return document


def _service(document: Json, old: Json | None) -> Json:
    spec = document.setdefault("spec", {})
    if spec.get("type") == "ExternalName":
        return document
    if not spec.get("clusterIP"):
        number = next(_addresses)
        placeholder = f"10.96.{number // 250 % 250}.{number % 250 + 1}"
        spec["clusterIP"] = ((old or {}).get("spec") or {}).get("clusterIP") or placeholder
    spec["clusterIPs"] = [spec["clusterIP"]]
    for port in spec.get("ports") or []:
        port.setdefault("targetPort", port.get("port"))
    document.setdefault("status", {}).setdefault("loadBalancer", {})
    return document


def _containers(spec: Json) -> None:
    """Pull policy as kube-apiserver sets it: Always where the tag is `latest` or absent."""
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        tag = container.get("image", "").rpartition("/")[2].partition(":")[2]
        moving = tag in ("", "latest") and "@" not in container.get("image", "")
        container.setdefault("imagePullPolicy", "Always" if moving else "IfNotPresent")


def _workload(document: Json, old: Json | None) -> Json:
    spec = document.get("spec") or {}
    _containers((spec.get("template") or {}).get("spec") or {})
    strategy = spec.get("strategy")
    if strategy and strategy.get("type") == "RollingUpdate":
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        strategy["rollingUpdate"] = rolling | (strategy.get("rollingUpdate") or {})
    return document


def _pod(document: Json, old: Json | None) -> Json:
    _containers(document.get("spec") or {})
    status = document.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", "BestEffort")
    return document


def _with_template_labels(document: Json, old: Json | None) -> Json:
    """A Job's pods carry its uid, and its selector asks for them."""
    _workload(document, old)
    spec = document.setdefault("spec", {})
    uid = metadata(document)["uid"]
    if spec.get("manualSelector") or old is not None:
        return document
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name_of(document)}
    labels |= {"controller-uid": uid, "job-name": name_of(document)}
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    template_metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    template_metadata["labels"] = labels | (template_metadata.get("labels") or {})
    return document


def _secret(document: Json, old: Json | None) -> Json:
    """`stringData` is written only; it is read back as base64 `data`."""
    plain = document.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
        document["data"] = (document.get("data") or {}) | encoded
    return document


_DEFAULTERS: dict[tuple[str, str], Defaulter] = {
    ("", "Namespace"): _namespace,
    ("", "Service"): _service,
    ("", "Pod"): _pod,
    ("", "Secret"): _secret,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("apps", "DaemonSet"): _workload,
    ("batch", "Job"): _with_template_labels,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): lambda document, old: crd.established(document),
}


def complete(group: str, kind: str, document: Json, old: Json | None) -> Json:
    """The object with the values that the server chooses; edits `document`."""
    defaulter = _DEFAULTERS.get((group, kind))
    return defaulter(document, old) if defaulter else document
