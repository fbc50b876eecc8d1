"""What the guard must be allowed, verb by verb, and what it should not be.

Owns the table of needed rights; a test holds stack/manifests/guard/daemon.yaml to it. Asks the API server
(SelfSubjectAccessReview), because only it knows what all bindings come to.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from guard.adapters.kubernetes.client import ACCESS_REVIEWS, IDENTITY_REVIEWS, KubernetesClient
from guard.doctor.finding import Finding, ok, problem, unknown, warning
from guard.errors import TidegateError

_ASKED_AT_ONCE = 4
_ROLE = "bind the Role of stack/manifests/guard/daemon.yaml to the guard's service account"


@dataclass(frozen=True)
class Right:
    """One verb on one resource; an empty namespace means all of them. `resource` may be `a/b`."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        where = f"in {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {self.resource} {where}"


@dataclass(frozen=True)
class Need:
    """Rights of one kind of object, and what the guard does with them; `enforcing`: only in Enforce."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    enforcing: bool = False


_READ = ("get", "list", "watch")
NEEDS = (
    Need("tidegate.dev", "guards", _READ, "to read the policy"),
    Need("tidegate.dev", "guards/status", ("patch",), "to say whether a Guard can be used"),
    Need("tidegate.dev", "changes", (*_READ, "patch"), "to see Changes, and hold one while users are on it"),
    Need("tidegate.dev", "changes/status", ("patch",), "to keep a Change's progress"),
    Need("tidegate.dev", "suiteruns", ("list", "create", "delete"), "to record scheduled suites"),
    Need("tidegate.dev", "suiteruns/status", ("patch",), "to record how a scheduled suite ended"),
    Need("gateway.networking.k8s.io", "httproutes", _READ, "to see the weights"),
    Need("gateway.networking.k8s.io", "httproutes", ("patch",), "to move the weights", enforcing=True),
    Need("apps", "deployments", _READ, "to see what is rolled out"),
    Need("apps", "deployments", ("patch",), "to promote", enforcing=True),
    Need("", "pods", _READ, "to see restarts and out-of-memory kills"),
    Need("", "configmaps", ("get",), "to read own eval items"),
    Need("discovery.k8s.io", "endpointslices", _READ, "to find the pods that serve"),
    Need("coordination.k8s.io", "leases", ("get", "create", "update"), "to be the only one that acts"),
    Need("events.k8s.io", "events", ("create",), "to tell what was done"),
)
GATEWAY_NEEDS = (
    Need("", "services", ("list",), "to find the gateway's pods"),
    Need("discovery.k8s.io", "endpointslices", ("list",), "to find the gateway's pods"),
)

# What nobody who moves weights needs; whoever takes the guard over would have it, too.
_EXCESS = (
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("create", "", "pods/exec"),
    ("create", "", "pods"),
    ("delete", "apps", "deployments"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
)
_EXCESS_ELSEWHERE = (
    *_EXCESS,
    ("patch", "apps", "deployments"),
    ("patch", "gateway.networking.k8s.io", "httproutes"),
)


def who(client: KubernetesClient) -> str | None:
    """The caller's user name as the API server sees it; None where it does not tell."""
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        status = client.create(IDENTITY_REVIEWS, None, kind).get("status") or {}
    except TidegateError:
        return None
    name = (status.get("userInfo") or {}).get("username")
    return str(name) if name else None


def missing_rights(
    client: KubernetesClient, namespace: str, gateways: Iterable[str], *, enforcing: bool
) -> list[Finding]:
    """One finding for each kind of object: may all, or may not these verbs.

    Args:
        gateways: Namespaces of the gateways that Guards name.
        enforcing: Whether any Guard enforces; without one, the rights to act are not missed.
    """
    wanted = [(need, namespace) for need in NEEDS]
    wanted += [(need, gateway) for gateway in sorted(set(gateways)) for need in GATEWAY_NEEDS]
    asked = [Right(v, need.group, need.resource, where) for need, where in wanted for v in need.verbs]
    try:
        allowed = ask(client, asked)
    except TidegateError as error:
        return [_no_reviews(error)]
    return [_finding(need, where, allowed, enforcing) for need, where in wanted]


def excess_rights(
    client: KubernetesClient, namespace: str, elsewhere: Iterable[str], user: str | None
) -> list[Finding]:
    """What the caller may do though the guard never does: one finding for each place, or that all is well."""
    here = [Right(verb, group, resource, namespace) for verb, group, resource in _EXCESS if verb != "get"]
    everywhere = [Right(*what, namespace="") for what in _EXCESS_ELSEWHERE]
    others = [Right(*what, namespace=n) for n in sorted(set(elsewhere)) for what in _EXCESS_ELSEWHERE]
    try:
        allowed = ask(client, [*here, *everywhere, *others])
    except TidegateError as error:
        return [_no_reviews(error)]
    too_much = [right for right in (*everywhere, *here, *others) if allowed[right]]
    return list(_by_place(too_much, namespace, user or "this caller")) or [
        ok("isolation", f"no rights outside of {namespace} that the guard should not have")
    ]


def ask(client: KubernetesClient, rights: Iterable[Right]) -> Mapping[Right, bool]:
    """Whether the caller has each right, as the API server says.

    Raises:
        TidegateError: The server does not answer access reviews.
    """
    rights = list(dict.fromkeys(rights))
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return dict(zip(rights, pool.map(lambda right: _allowed(client, right), rights), strict=True))


def _allowed(client: KubernetesClient, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": right.namespace,
        "name": right.name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    status = client.create(ACCESS_REVIEWS, None, body).get("status") or {}
    return bool(status.get("allowed"))


def _finding(need: Need, where: str, allowed: Mapping[Right, bool], enforcing: bool) -> Finding:
    lacking = [v for v in need.verbs if not allowed[Right(v, need.group, need.resource, where)]]
    if not lacking:
        return ok("rights", f"may {', '.join(need.verbs)} {need.resource} in {where}")
    message = f"may not {', '.join(lacking)} {need.resource} in {where}, needed {need.why}"
    if need.enforcing and not enforcing:
        return warning("rights", f"{message} once a Guard enforces", _ROLE)
    return problem("rights", message, _ROLE)


def _by_place(rights: list[Right], home: str, user: str) -> Iterator[Finding]:
    everywhere = {(r.verb, r.group, r.resource) for r in rights if not r.namespace}
    for place in dict.fromkeys(right.namespace for right in rights):
        said = [r for r in rights if r.namespace == place]
        if place:
            said = [r for r in said if (r.verb, r.group, r.resource) not in everywhere]
        if said:
            where = f"in {place}" if place else "in all namespaces"
            what = ", ".join(f"{right.verb} {right.resource}" for right in said)
            remedy = f"give the guard a Role in {home} and no ClusterRole; or ask as it, with --as USER"
            yield warning("isolation", f"{user} may {what} {where}, which the guard never needs", remedy)


def _no_reviews(error: TidegateError) -> Finding:
    return unknown("rights", f"the API server answers no access reviews: {error}", "ask its administrator")
