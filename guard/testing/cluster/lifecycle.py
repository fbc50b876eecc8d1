"""What happens to objects after a write: finalizers, owners, and the contents of a namespace.

A garbage collector as kube-controller-manager has, but run to its end inside the write that gave it
something to do, under the store's lock: when DELETE of an owner returns, its dependents are gone or
terminating. Tests therefore must not rely on seeing an orphan in between.
"""

from collections.abc import Callable

from guard.testing.cluster.objects import Json, clone, is_terminating, metadata, name_of, timestamp
from guard.testing.cluster.resources import Storage
from guard.testing.cluster.store import Store

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
NAMESPACE_STORAGE: Storage = ("", "namespaces")
POD_STORAGE: Storage = ("", "pods")


def _owners(document: Json) -> list[Json]:
    return (document.get("metadata") or {}).get("ownerReferences") or []


def _finalizers(document: Json) -> list[str]:
    return (document.get("metadata") or {}).get("finalizers") or []


def _grace(storage: Storage, document: Json, wanted: int | None) -> int:
    """Seconds until the kubelet is done: only a pod on a node has any."""
    spec = document.get("spec") or {}
    if storage != POD_STORAGE or not spec.get("nodeName"):
        return 0
    ended = (document.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    default = 0 if ended else spec.get("terminationGracePeriodSeconds", 30)
    return int(default if wanted is None else wanted)


class Lifecycle:
    """Deletes objects as the API server and its garbage collector do.

    Args:
        removed: Called with storage and last state of every object that left the store.
    """

    def __init__(self, store: Store, removed: Callable[[Storage, Json], None]) -> None:
        self._store = store
        self._removed = removed

    def delete(
        self, storage: Storage, document: Json, policy: str = "Background", grace_seconds: int | None = None
    ) -> tuple[Json, bool]:
        """Delete one object: remove it, or mark it when something still holds it.

        Returns:
            The object's last state, and whether it is gone.
        """
        with self._store.lock:
            marked = clone(document)
            fields = metadata(marked)
            finalizers = [item for item in _finalizers(marked) if item not in (FOREGROUND, ORPHAN)]
            finalizers += {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
            grace = _grace(storage, document, grace_seconds)
            fields["finalizers"] = finalizers
            if is_terminating(document):
                fields["deletionGracePeriodSeconds"] = min(
                    grace, fields.get("deletionGracePeriodSeconds", grace)
                )
            else:
                fields |= {"deletionTimestamp": timestamp(grace), "deletionGracePeriodSeconds": grace}
                self._count_generation(fields)
            return self._settle(storage, marked, document)

    def _count_generation(self, fields: Json) -> None:
        if "generation" in fields:
            fields["generation"] += 1

    def _settle(self, storage: Storage, marked: Json, before: Json) -> tuple[Json, bool]:
        if storage == NAMESPACE_STORAGE:
            marked.setdefault("status", {})["phase"] = "Terminating"
        held = self._held(storage, marked)
        if not held:
            return self._drop(storage, before), True
        if not _finalizers(marked):
            metadata(marked).pop("finalizers", None)
        stored = marked if marked == before else self._store.put(storage, marked)
        self._collect(storage, stored)
        left = self._store.get(storage, str(metadata(stored).get("namespace") or ""), name_of(stored))
        return (left or stored), left is None

    def _held(self, storage: Storage, marked: Json) -> bool:
        if _finalizers(marked) or metadata(marked).get("deletionGracePeriodSeconds"):
            return True
        return storage == NAMESPACE_STORAGE and bool(self._contents(name_of(marked)))

    def finalized(self, storage: Storage, document: Json) -> Json | None:
        """Remove a terminating object that nothing holds any more; None where something does."""
        if not is_terminating(document) or self._held(storage, document):
            return None
        return self._drop(storage, document)

    def _contents(self, namespace: str) -> list[tuple[Storage, Json]]:
        return [pair for pair in self._store.everything() if metadata(pair[1]).get("namespace") == namespace]

    def _drop(self, storage: Storage, document: Json) -> Json:
        gone = self._store.remove(storage, document)
        self._removed(storage, gone)
        self._release_dependents(metadata(gone)["uid"])
        self._release_owners(gone)
        self._release_namespace(str(metadata(gone).get("namespace") or ""))
        return gone

    def _collect(self, storage: Storage, holder: Json) -> None:
        """Do the work that the finalizers of `holder` and its being a namespace ask for."""
        if storage == NAMESPACE_STORAGE:
            for kind, item in self._contents(name_of(holder)):
                if self._store.get(kind, name_of(holder), name_of(item)) is not None:
                    self.delete(kind, item)
        uid = metadata(holder)["uid"]
        if ORPHAN in _finalizers(holder):
            for kind, item in self._dependents(uid):
                self._disown(kind, item, uid)
            self._without_finalizer(storage, holder, ORPHAN)
        elif FOREGROUND in _finalizers(holder):
            for kind, item in self._dependents(uid):
                if not is_terminating(item):
                    self.delete(kind, item, "Foreground")
            self._release_foreground(uid)

    def _dependents(self, uid: str) -> list[tuple[Storage, Json]]:
        return [
            pair
            for pair in self._store.everything()
            if any(own.get("uid") == uid for own in _owners(pair[1]))
        ]

    def _disown(self, storage: Storage, document: Json, uid: str) -> None:
        changed = clone(document)
        left = [own for own in _owners(changed) if own.get("uid") != uid]
        metadata(changed)["ownerReferences"] = left
        if not left:
            del metadata(changed)["ownerReferences"]
        self._store.put(storage, changed)

    def _release_dependents(self, uid: str) -> None:
        """After an owner is gone: delete what has no other owner left, background policy."""
        present = {metadata(item)["uid"] for _, item in self._store.everything()}
        for storage, item in self._dependents(uid):
            if any(own.get("uid") in present for own in _owners(item)):
                self._disown(storage, item, uid)
            elif not is_terminating(item):
                self.delete(storage, item)

    def _release_owners(self, gone: Json) -> None:
        for owner in _owners(gone):
            self._release_foreground(str(owner.get("uid")))

    def _release_foreground(self, uid: str) -> None:
        holder = next((pair for pair in self._store.everything() if metadata(pair[1])["uid"] == uid), None)
        if holder is None or FOREGROUND not in _finalizers(holder[1]):
            return
        blocking = (own for _, item in self._dependents(uid) for own in _owners(item))
        if not any(own.get("uid") == uid and own.get("blockOwnerDeletion") for own in blocking):
            self._without_finalizer(holder[0], holder[1], FOREGROUND)

    def _without_finalizer(self, storage: Storage, document: Json, finalizer: str) -> None:
        changed = clone(document)
        left = [item for item in _finalizers(changed) if item != finalizer]
        metadata(changed)["finalizers"] = left
        if not left:
            del metadata(changed)["finalizers"]
        if self.finalized(storage, changed) is None:
            self._store.put(storage, changed)

    def _release_namespace(self, name: str) -> None:
        namespace = self._store.get(NAMESPACE_STORAGE, "", name) if name else None
        if namespace is not None:
            self.finalized(NAMESPACE_STORAGE, namespace)
