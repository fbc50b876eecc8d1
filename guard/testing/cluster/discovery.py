"""What a client may ask for: API groups, their versions and resources, in the old and the new form."""

from collections.abc import Iterable

from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import Catalog, ResourceType

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

VERSION: Json = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.1-tidegate",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}

_CHANGED = ["get", "patch", "update"]
_SUBRESOURCE_VERBS = {"status": _CHANGED, "scale": _CHANGED, "log": ["get"]}


def _groups(catalog: Catalog) -> dict[str, list[str]]:
    """Group -> versions, preferred first: v1 before v1beta1 before v1alpha1."""
    groups: dict[str, list[str]] = {}
    for row in catalog:
        versions = groups.setdefault(row.group, [])
        if row.version not in versions:
            versions.append(row.version)
    return {group: sorted(versions, key=_rank) for group, versions in groups.items()}


def _rank(version: str) -> tuple[int, str]:
    return (2 if "alpha" in version else 1 if "beta" in version else 0, version)


def _members(catalog: Catalog, group: str, version: str) -> list[ResourceType]:
    return [row for row in catalog if (row.group, row.version) == (group, version)]


def _group_json(group: str, versions: list[str]) -> Json:
    rows = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": rows, "preferredVersion": rows[0]}


def groups(catalog: Catalog) -> Json:
    """`/apis`."""
    rows = [_group_json(group, versions) for group, versions in _groups(catalog).items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows}


def group(catalog: Catalog, name: str) -> Json | None:
    """`/apis/GROUP`."""
    versions = _groups(catalog).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group_json(name, versions) if versions else None


def core_versions() -> Json:
    """`/api`."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _subresource_kind(row: ResourceType, subresource: str) -> Json:
    if subresource == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return {"group": row.group, "version": row.version, "kind": row.kind}


def _resources(row: ResourceType) -> Iterable[Json]:
    yield {
        "name": row.plural,
        "singularName": row.singular_name,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
        **({"shortNames": list(row.short_names)} if row.short_names else {}),
        **({"categories": list(row.categories)} if row.categories else {}),
    }
    for subresource in sorted(row.subresources):
        kind = _subresource_kind(row, subresource)
        foreign = {key: kind[key] for key in ("group", "version")} if subresource == "scale" else {}
        head = {"name": f"{row.plural}/{subresource}", "singularName": "", "namespaced": row.namespaced}
        yield head | foreign | {"kind": kind["kind"], "verbs": _SUBRESOURCE_VERBS[subresource]}


def resources(catalog: Catalog, group_name: str, version: str) -> Json | None:
    """`/apis/GROUP/VERSION` and `/api/v1`; None when nothing is served there."""
    members = _members(catalog, group_name, version)
    if not members:
        return None
    rows = [entry for row in members for entry in _resources(row)]
    head = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": members[0].api_version}
    return head | {"resources": rows}


def _aggregated_resource(row: ResourceType) -> Json:
    kind = {"group": row.group, "version": row.version, "kind": row.kind}
    return {
        "resource": row.plural,
        "responseKind": kind,
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular_name,
        "verbs": list(row.verbs),
        **({"shortNames": list(row.short_names)} if row.short_names else {}),
        **({"categories": list(row.categories)} if row.categories else {}),
        "subresources": [
            {
                "subresource": name,
                "responseKind": _subresource_kind(row, name),
                "verbs": _SUBRESOURCE_VERBS[name],
            }
            for name in sorted(row.subresources)
        ],
    }


def aggregated(catalog: Catalog, *, core: bool) -> Json:
    """`/api` or `/apis` in one document, as apidiscovery.k8s.io/v2."""
    items = []
    for name, versions in _groups(catalog).items():
        if bool(name) is core:
            continue
        rows = [
            {
                "version": version,
                "freshness": "Current",
                "resources": [_aggregated_resource(row) for row in _members(catalog, name, version)],
            }
            for version in versions
        ]
        items.append({"metadata": {"name": name, "creationTimestamp": None}, "versions": rows})
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
    return head | {"items": items}
