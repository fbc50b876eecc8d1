"""Who may do what: the RBAC objects of the cluster, applied to callers who say who they are.

A caller with an `Impersonate-User` header, or with a bearer token that is a service account's user name
(`system:serviceaccount:NAMESPACE:NAME`), is that user and may do what Roles and ClusterRoles bound to it
allow. Every other caller may do everything: this double checks no credentials. Aggregated ClusterRoles,
non-resource URLs and rights that Kubernetes grants by itself (but reading its own reviews) are NOT here.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import Reply
from guard.testing.cluster.requests import Call, Target, parse_path
from guard.testing.cluster.statuses import StatusError, bad_request
from guard.testing.cluster.store import Store

_RBAC = "rbac.authorization.k8s.io"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_ON_COLLECTION = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
_ON_OBJECT = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Action:
    """What somebody wants to do; an empty namespace means all of them, or none for a cluster's kinds."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def where(self) -> str:
        return f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"

    @property
    def what(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Access:
    """The authorizer, and the answers to reviews of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reply(self, call: Call) -> Reply | None:
        """The answer to a review by a known user; None when the call may go on.

        Raises:
            StatusError: 403, the user may not do that.
        """
        user, target = user_of(call), parse_path(call.path)
        if not user or target is None or not target.plural:
            return None
        if call.method == "POST" and target.plural.startswith("selfsubject"):
            return Reply(self._review(user, target, call), 201)
        action = _action(call, target)
        if not self.allows(user, action):
            raise _forbidden(user, action)
        return None

    def allows(self, user: str, action: Action) -> bool:
        return any(_covers(rule, action) for rule in self._rules(user, action.namespace))

    def _rules(self, user: str, namespace: str) -> Iterator[Json]:
        """Every rule that binds the user in a namespace, those of the whole cluster included."""
        found = [("", binding) for binding in self._store.all((_RBAC, "clusterrolebindings"))]
        if namespace:
            found += [(namespace, b) for b in self._store.all((_RBAC, "rolebindings"), namespace)]
        for where, binding in found:
            if any(_is(subject, user) for subject in binding.get("subjects") or []):
                yield from self._role(where, binding["roleRef"])

    def _role(self, namespace: str, reference: Json) -> Iterable[Json]:
        cluster_wide = reference["kind"] == "ClusterRole"
        plural, place = ("clusterroles", "") if cluster_wide else ("roles", namespace)
        role = self._store.get((_RBAC, plural), place, reference["name"]) or {}
        return role.get("rules") or []

    def _review(self, user: str, target: Target, call: Call) -> Json:
        document = _json(call)
        spec = document.get("spec") or {}
        head = {"kind": document.get("kind"), "apiVersion": f"{target.group}/{target.version}", "spec": spec}
        if target.plural == "selfsubjectreviews":
            return head | {"status": {"userInfo": {"username": user, "groups": sorted(_groups(user))}}}
        if target.plural == "selfsubjectrulesreviews":
            rules = list(self._rules(user, spec.get("namespace") or ""))
            status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
            return head | {"status": status}
        asked = spec.get("resourceAttributes") or {}
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        action = Action(**{name: asked.get(name) or "" for name in names})
        return head | {"status": {"allowed": self.allows(user, action)}}


def user_of(call: Call) -> str:
    """Who calls; empty for a caller who may do everything."""
    token = call.headers.get("authorization", "").removeprefix("Bearer ")
    return call.headers.get("impersonate-user") or (token if token.startswith(_SERVICE_ACCOUNT) else "")


def _json(call: Call) -> Json:
    try:
        document = json.loads(call.body)
    except ValueError as error:
        raise bad_request(f"the body of the request does not parse: {error}") from error
    return document if isinstance(document, dict) else {}


def _action(call: Call, target: Target) -> Action:
    verb = (_ON_OBJECT if target.name else _ON_COLLECTION).get(call.method, call.method.lower())
    if verb == "list" and call.query.get("watch") in ("true", "1"):
        verb = "watch"
    place = target.namespace
    if (target.group, target.plural) == ("", "namespaces"):
        place = target.name
    return Action(verb, target.group, target.plural, target.subresource, place, target.name)


def _covers(rule: Json, action: Action) -> bool:
    resources = rule.get("resources") or []
    names = rule.get("resourceNames") or []
    return (
        _any(rule.get("verbs") or [], action.verb)
        and _any(rule.get("apiGroups") or [], action.group)
        and (
            _any(resources, action.what)
            or bool(action.subresource and f"*/{action.subresource}" in resources)
        )
        and (not names or action.name in names)
    )


def _any(listed: list[str], wanted: str) -> bool:
    return "*" in listed or wanted in listed


def _is(subject: Json, user: str) -> bool:
    match subject.get("kind"):
        case "ServiceAccount":
            return user == f"{_SERVICE_ACCOUNT}{subject.get('namespace')}:{subject['name']}"
        case "Group":
            return subject["name"] in _groups(user)
    return bool(subject.get("name") == user)


def _groups(user: str) -> set[str]:
    if not user.startswith(_SERVICE_ACCOUNT):
        return {"system:authenticated"}
    namespace = user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
    return {"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"}


def _forbidden(user: str, action: Action) -> StatusError:
    kind = f"{action.resource}.{action.group}" if action.group else action.resource
    named = f'{kind} "{action.name}"' if action.name else kind
    message = (
        f'{named} is forbidden: User "{user}" cannot {action.verb} resource "{action.what}" '
        f'in API group "{action.group}" {action.where}'
    )
    details = {"name": action.name, "group": action.group, "kind": action.resource}
    return StatusError(403, "Forbidden", message, {key: value for key, value in details.items() if value})
