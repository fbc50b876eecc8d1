"""The verbs of the API on objects: get, list, create, update, delete, without HTTP.

Every verb takes the store's lock for its whole length, so that a patch always meets the object it was
computed from. Objects pass through `writing.py` on their way in; the lifecycle takes them out.
"""

import secrets
import uuid
from collections.abc import Callable
from typing import Any

from guard.testing.cluster import crd, statuses
from guard.testing.cluster.events import converted, stored
from guard.testing.cluster.lifecycle import Lifecycle
from guard.testing.cluster.managed import applied, track
from guard.testing.cluster.objects import Json, clone, is_terminating, metadata, name_of, timestamp
from guard.testing.cluster.requests import WriteOptions
from guard.testing.cluster.resources import CRD_STORAGE, NAMESPACES, Catalog, ResourceType, Storage
from guard.testing.cluster.store import Store
from guard.testing.cluster.writing import finish, isolate, keep_identity

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # the alphabet of k8s.io/apimachinery/pkg/util/rand
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_KEPT_NAMESPACES = ("default", "kube-system", "kube-public")


class Api:
    """All verbs; raises StatusError for whatever a client did wrong."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog
        self._lifecycle = Lifecycle(store, self._removed)

    def get(self, type_: ResourceType, namespace: str, name: str) -> Json:
        found = self.store.get(type_.storage, namespace, name)
        if found is None:
            raise statuses.not_found(type_, name)
        return converted(type_, found)

    def create(self, type_: ResourceType, namespace: str, body: Json, options: WriteOptions) -> Json:
        """A new object, stored unless it is a dry run or a review."""
        with self.store.lock:
            document = self._named(type_, namespace, body)
            if "list" not in type_.verbs:
                return _reviewed(document)
            if self.store.get(type_.storage, namespace, name_of(document)) is not None:
                raise statuses.already_exists(type_, name_of(document))
            self.require_namespace(type_, namespace, name_of(document))
            if metadata(document).pop("resourceVersion", None):
                message = "resourceVersion should not be set on objects to be created"
                raise statuses.StatusError(500, "", message)
            metadata(document).pop("deletionTimestamp", None)
            metadata(document).update(uid=str(uuid.uuid4()), creationTimestamp=timestamp())
            if type_.counts_generation:
                metadata(document)["generation"] = 1
            document = finish(type_, None, isolate(type_, "", None, document), options)
            if options.operation == "Update":
                document = track(type_, None, document, options, "")
            return self._keep(type_, document, options)

    def update(
        self,
        type_: ResourceType,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        options: WriteOptions,
        subresource: str = "",
    ) -> Json:
        """Replace an object by what `change` makes of it; nothing is written where that is the same."""
        with self.store.lock:
            old = self.get(type_, namespace, name)
            document = clone(change(old))
            check_kind(type_, document)
            document = keep_identity(type_, old, document, replaces=options.operation == "Replace")
            document = isolate(type_, subresource, old, document)
            document = finish(type_, old, document, options)
            if options.operation != "Apply":
                document = track(type_, old, document, options, subresource)
            if document == old:
                return old
            if not options.dry_run:
                gone = self._lifecycle.finalized(type_.storage, stored(type_, document))
                if gone is not None:
                    return converted(type_, gone)
            return self._keep(type_, document, options)

    def apply(
        self,
        type_: ResourceType,
        namespace: str,
        name: str,
        config: Json,
        options: WriteOptions,
        subresource: str = "",
    ) -> tuple[Json, bool]:
        """Server-side apply; the object, and whether it is new."""
        with self.store.lock:
            if not config.get("kind") or not config.get("apiVersion"):
                raise statuses.bad_request("invalid object type: /, Kind=")
            check_kind(type_, config)
            metadata(config).setdefault("name", name)
            if self.store.get(type_.storage, namespace, name) is None and not subresource:
                document = applied(type_, None, config, options, subresource)
                return self.create(type_, namespace, document, options), True

            def change(live: Json) -> Json:
                return applied(type_, live, config, options, subresource)

            return self.update(type_, namespace, name, change, options, subresource), False

    def upsert(self, type_: ResourceType, document: Json, options: WriteOptions) -> Json:
        """Create, or replace what is there, its status included; for loading manifests."""
        namespace = (metadata(document).get("namespace") or "default") if type_.namespaced else ""

        def change(old: Json) -> Json:
            unconditional: Json = clone(document)
            metadata(unconditional)["resourceVersion"] = metadata(old)["resourceVersion"]
            return unconditional

        with self.store.lock:
            if self.store.get(type_.storage, namespace, name_of(document)) is None:
                kept = self.create(type_, namespace, document, options)
            else:
                kept = self.update(type_, namespace, name_of(document), change, options)
            if "status" in document and "status" in type_.subresources:
                kept = self.update(type_, namespace, name_of(kept), change, options, "status")
            return kept

    def delete(
        self,
        type_: ResourceType,
        namespace: str,
        name: str,
        wishes: Json,
        *,
        dry_run: bool = False,
    ) -> tuple[Json, bool]:
        """Delete by metav1.DeleteOptions; the last state, and whether the object is gone."""
        with self.store.lock:
            found = self.get(type_, namespace, name)
            _check_preconditions(type_, found, wishes.get("preconditions") or {})
            if type_ is NAMESPACES and name in _KEPT_NAMESPACES:
                raise statuses.forbidden(type_, name, "this namespace may not be deleted")
            if dry_run:
                return found, True
            policy = wishes.get("propagationPolicy") or "Background"
            if policy not in ("Background", "Foreground", "Orphan"):
                raise statuses.unknown_policy(policy)
            grace = wishes.get("gracePeriodSeconds")
            last, gone = self._lifecycle.delete(type_.storage, stored(type_, found), policy, grace)
            return converted(type_, last), gone

    def _named(self, type_: ResourceType, namespace: str, body: Json) -> Json:
        document: Json = clone(body)
        check_kind(type_, document)
        fields = metadata(document)
        if type_.namespaced:
            if fields.get("namespace", namespace) != namespace:
                raise statuses.bad_request(_OTHER_NAMESPACE)
            fields["namespace"] = namespace
        else:
            fields.pop("namespace", None)
        prefix = fields.get("generateName")
        if prefix and not fields.get("name"):
            fields["name"] = prefix + "".join(secrets.choice(_SUFFIX) for _ in range(5))
        if not fields.get("name") and "list" in type_.verbs:
            message = "Required value: name or generateName is required"
            cause = statuses.Cause("FieldValueRequired", message, "metadata.name")
            raise statuses.invalid(type_, "", [cause])
        return document

    def require_namespace(self, type_: ResourceType, namespace: str, name: str) -> None:
        """Raises StatusError where nothing can be created: 404 no such namespace, 403 it is ending."""
        if not type_.namespaced:
            return
        found = self.get(NAMESPACES, "", namespace)
        if is_terminating(found):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise statuses.forbidden(type_, name, why)

    def _keep(self, type_: ResourceType, document: Json, options: WriteOptions) -> Json:
        if options.dry_run:
            return document
        if type_.storage == CRD_STORAGE:
            self._serve(document)
        return converted(type_, self.store.put(type_.storage, stored(type_, document)))

    def _serve(self, definition: Json) -> None:
        spec = definition["spec"]
        self.catalog.remove(spec["group"], spec["names"]["plural"])
        self.catalog.add(crd.served_types(definition))

    def _removed(self, storage: Storage, document: Json) -> None:
        if storage == CRD_STORAGE:
            group, plural = document["spec"]["group"], document["spec"]["names"]["plural"]
            self.catalog.remove(group, plural)
            for item in self.store.all((group, plural)):
                self.store.remove((group, plural), item)


def _check_preconditions(type_: ResourceType, found: Json, wanted: Json) -> None:
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        want, have = wanted.get(field), metadata(found)[field]
        if want and want != have:
            why = f"Precondition failed: {label} in precondition: {want}, {label} in object meta: {have}"
            raise statuses.conflict(type_, name_of(found), why)


def check_kind(type_: ResourceType, document: Any) -> None:
    """Refuse a body that is not of the kind that the path serves."""
    if not isinstance(document, dict):
        raise statuses.bad_request("couldn't get version/kind; json parse error: the body is not an object")
    if type_.custom and not document.get("kind"):
        message = (
            f"the object provided is unrecognized (must be of type {type_.kind}): Object 'Kind' is missing"
        )
        raise statuses.bad_request(message)
    given = document.setdefault("apiVersion", "" if type_.custom else type_.api_version)
    if given != type_.api_version:
        raise statuses.bad_request(
            f"the API version in the data ({given}) does not match the expected API version "
            f"({type_.api_version})"
        )
    given = document.setdefault("kind", type_.kind)
    if given != type_.kind and type_.custom:
        raise statuses.other_kind(type_, name_of(document), given)
    if given != type_.kind:
        raise statuses.bad_request(
            f"the kind in the data ({given}) does not match the expected kind ({type_.kind})"
        )


def _reviewed(document: Json) -> Json:
    """The answer to an access review: this cluster knows no users and allows everything."""
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    answers: dict[str, Json] = {
        "SelfSubjectRulesReview": {"resourceRules": everything, "nonResourceRules": [], "incomplete": False},
        "SelfSubjectReview": {"userInfo": {"username": "tester", "groups": ["system:masters"]}},
    }
    return document | {"status": answers.get(document["kind"], {"allowed": True})}
