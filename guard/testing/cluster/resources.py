"""What the cluster serves: one `ResourceType` for each resource, and the table of the built-in ones.

Knows names and capabilities, not objects. A custom resource becomes a `ResourceType` in `crd.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from guard.testing.cluster.objects import Json

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

Storage = tuple[str, str]


@dataclass(frozen=True)
class ResourceType:
    """One served resource in one version.

    Attributes:
        subresources: Of `status`, `scale`, `log`.
        verbs: What discovery says; only `create` for reviews, which are answered and not stored.
        counts_generation: metadata.generation grows when anything but metadata and status changes.
        returns_deleted: A finished DELETE answers with the object instead of a Status.
        stored_as: (group, plural) under which objects lie, where two groups show the same ones.
        schema: OpenAPI schema of a custom resource; None for built-in kinds, whose schema is found by kind.
        columns: additionalPrinterColumns of a custom resource.
        scale: Paths of a custom resource's scale subresource.
        selectable: Field paths that a custom resource can be selected by, besides its name and namespace.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    counts_generation: bool = False
    returns_deleted: bool = False
    stored_as: Storage | None = None
    singular: str = ""
    list_kind: str = ""
    custom: bool = False
    schema: Json | None = None
    columns: tuple[Json, ...] = ()
    scale: Json | None = None
    selectable: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`deployments.apps`, or `pods` for the core group: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> Storage:
        return self.stored_as or (self.group, self.plural)

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @property
    def list_kind_name(self) -> str:
        return self.list_kind or f"{self.kind}List"


def _core(plural: str, kind: str, *short: str, **more: Any) -> ResourceType:
    return ResourceType("", "v1", plural, kind, short_names=short, **more)


def _group(group: str, *rows: ResourceType) -> Iterator[ResourceType]:
    return (replace(row, group=group) for row in rows)


_STATUS = frozenset({"status"})
_SCALED = frozenset({"status", "scale"})
_ALL = ("all",)
_ASKED: dict[str, Any] = {"verbs": ("create",), "namespaced": False}
_SPEC: dict[str, Any] = {"subresources": _STATUS, "counts_generation": True}
_WORKLOAD: dict[str, Any] = {"subresources": _SCALED, "counts_generation": True, "categories": _ALL}

BUILT_IN: tuple[ResourceType, ...] = (
    _core("namespaces", "Namespace", "ns", namespaced=False, subresources=_STATUS, returns_deleted=True),
    _core(
        "pods",
        "Pod",
        "po",
        subresources=frozenset({"status", "log"}),
        categories=_ALL,
        counts_generation=True,
        returns_deleted=True,
    ),
    _core("services", "Service", "svc", subresources=_STATUS, categories=_ALL, returns_deleted=True),
    _core("endpoints", "Endpoints", "ep"),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret"),
    _core("serviceaccounts", "ServiceAccount", "sa", returns_deleted=True),
    _core("events", "Event", "ev"),
    _core("nodes", "Node", "no", namespaced=False, subresources=_STATUS),
    _core(
        "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=_STATUS, returns_deleted=True
    ),
    _core("persistentvolumes", "PersistentVolume", "pv", namespaced=False, subresources=_STATUS),
    _core("replicationcontrollers", "ReplicationController", "rc", **_WORKLOAD),
    _core("resourcequotas", "ResourceQuota", "quota", subresources=_STATUS, returns_deleted=True),
    _core("limitranges", "LimitRange", "limits"),
    *_group(
        "apps",
        _core("deployments", "Deployment", "deploy", **_WORKLOAD),
        _core("replicasets", "ReplicaSet", "rs", **_WORKLOAD),
        _core("statefulsets", "StatefulSet", "sts", **_WORKLOAD),
        _core("daemonsets", "DaemonSet", "ds", categories=_ALL, **_SPEC),
        _core("controllerrevisions", "ControllerRevision"),
    ),
    *_group(
        "batch",
        _core("jobs", "Job", categories=_ALL, **_SPEC),
        _core("cronjobs", "CronJob", "cj", categories=_ALL, **_SPEC),
    ),
    *_group(
        "autoscaling",
        replace(_core("horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa"), version="v2"),
    ),
    *_group("policy", _core("poddisruptionbudgets", "PodDisruptionBudget", "pdb", **_SPEC)),
    *_group("discovery.k8s.io", _core("endpointslices", "EndpointSlice", counts_generation=True)),
    *_group("coordination.k8s.io", _core("leases", "Lease")),
    *_group("events.k8s.io", _core("events", "Event", "ev", stored_as=("", "events"))),
    *_group(
        "rbac.authorization.k8s.io",
        _core("clusterroles", "ClusterRole", namespaced=False),
        _core("clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        _core("roles", "Role"),
        _core("rolebindings", "RoleBinding"),
    ),
    *_group(
        "networking.k8s.io",
        _core("ingresses", "Ingress", "ing", **_SPEC),
        _core("ingressclasses", "IngressClass", namespaced=False, counts_generation=True),
        _core("networkpolicies", "NetworkPolicy", "netpol", counts_generation=True),
    ),
    *_group("storage.k8s.io", _core("storageclasses", "StorageClass", "sc", namespaced=False)),
    *_group("scheduling.k8s.io", _core("priorityclasses", "PriorityClass", "pc", namespaced=False)),
    *_group(
        "admissionregistration.k8s.io",
        _core("validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False, **_SPEC),
        _core("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False),
        _core("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", namespaced=False),
        _core("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False),
    ),
    *_group(
        "apiextensions.k8s.io",
        _core(
            "customresourcedefinitions",
            "CustomResourceDefinition",
            "crd",
            "crds",
            namespaced=False,
            categories=("api-extensions",),
            **_SPEC,
        ),
    ),
    *_group(
        "authorization.k8s.io",
        _core("selfsubjectaccessreviews", "SelfSubjectAccessReview", **_ASKED),
        _core("selfsubjectrulesreviews", "SelfSubjectRulesReview", **_ASKED),
        _core("subjectaccessreviews", "SubjectAccessReview", **_ASKED),
    ),
    *_group("authentication.k8s.io", _core("selfsubjectreviews", "SelfSubjectReview", **_ASKED)),
)

NAMESPACES = BUILT_IN[0]
CRD_STORAGE: Storage = ("apiextensions.k8s.io", "customresourcedefinitions")


class Catalog:
    """The resources served now; built-in ones stay, custom ones come and go with their definitions."""

    def __init__(self, built_in: Iterable[ResourceType] = BUILT_IN) -> None:
        self._types = {(row.group, row.version, row.plural): row for row in built_in}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(tuple(self._types.values()))

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        """The resource behind one request path."""
        return self._types.get((group, version, plural))

    def find_kind(self, api_version: str, kind: str) -> ResourceType | None:
        return next((row for row in self if row.api_version == api_version and row.kind == kind), None)

    def add(self, types: Iterable[ResourceType]) -> None:
        for row in types:
            self._types[row.group, row.version, row.plural] = row

    def leave_definitions(self) -> None:
        """Serve neither custom resources nor their definitions: another server does."""
        self._types = {
            key: row for key, row in self._types.items() if not row.custom and row.group != CRD_STORAGE[0]
        }

    def remove(self, group: str, plural: str) -> None:
        """Stop serving a custom resource in all its versions."""
        gone = [
            key
            for key, row in self._types.items()
            if row.custom and (row.group, row.plural) == (group, plural)
        ]
        for key in gone:
            del self._types[key]
