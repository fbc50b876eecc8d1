"""The cluster's memory: objects, one revision counter, and the history that watches read.

Owns the lock. Knows neither kinds nor HTTP: an object is JSON with metadata, filed under a storage
(group, plural) and (namespace, name). Every write takes the next revision, cluster-wide, as in etcd;
history is bounded, and asking for what fell out of it is `Compacted`.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from guard.testing.cluster.objects import Json, clone, name_of, namespace_of, revision_of
from guard.testing.cluster.resources import Storage

HISTORY_EVENTS = 5_000  # per storage; arbitrary, far more than any watch lags behind


class Compacted(Exception):
    """History before `floor` is gone."""

    def __init__(self, floor: int) -> None:
        super().__init__(f"compacted at {floor}")
        self.floor = floor


@dataclass(frozen=True)
class Event:
    """One write: `current` is None for a removal, `previous` is None for a creation.

    `stamped` is what a watch shows: the object with this event's revision, also for a removal.
    """

    revision: int
    stamped: Json
    previous: Json | None
    removed: bool


class Store:
    """Thread-safe. Returned objects are shared: clone before changing them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._revision = 1
        self._objects: dict[Storage, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._history: dict[Storage, deque[Event]] = defaultdict(deque)
        self._floors: dict[Storage, int] = {}
        self._floor = 0
        self._listeners: list[Callable[[Storage], None]] = []

    @property
    def revision(self) -> int:
        return self._revision

    def get(self, storage: Storage, namespace: str, name: str) -> Json | None:
        with self.lock:
            return self._objects[storage].get((namespace, name))

    def all(self, storage: Storage, namespace: str = "") -> list[Json]:
        """Objects in order of namespace and name; of all namespaces when none is given."""
        with self.lock:
            found = self._objects[storage]
            return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def everything(self) -> Iterator[tuple[Storage, Json]]:
        """A snapshot of all objects with their storage."""
        with self.lock:
            pairs = [(storage, item) for storage, items in self._objects.items() for item in items.values()]
        return iter(pairs)

    def put(self, storage: Storage, document: Json) -> Json:
        """Create or replace, and return the object as stored, with its new resourceVersion."""
        with self.lock:
            key = (namespace_of(document), name_of(document))
            previous = self._objects[storage].get(key)
            stamped = self._stamp(document)
            self._objects[storage][key] = stamped
            self._record(storage, Event(self._revision, stamped, previous, removed=False))
            return stamped

    def remove(self, storage: Storage, document: Json) -> Json:
        """Remove, and return the object's last state with the removal's resourceVersion."""
        with self.lock:
            previous = self._objects[storage].pop((namespace_of(document), name_of(document)))
            stamped = self._stamp(document)
            self._record(storage, Event(self._revision, stamped, previous, removed=True))
            return stamped

    def since(self, storage: Storage, revision: int) -> list[Event]:
        """Events after `revision`, in order.

        Raises:
            Compacted: Some of them are gone, or the revision is none of this store's (it was restarted).
        """
        with self.lock:
            floor = max(self._floor, self._floors.get(storage, 0))
            if revision < floor or revision > self._revision:
                raise Compacted(floor)
            return [event for event in self._history[storage] if event.revision > revision]

    def compact(self) -> None:
        """Forget all history up to now."""
        with self.lock:
            self._history.clear()
            self._floor = self._revision

    @contextmanager
    def listening(self, listener: Callable[[Storage], None]) -> Iterator[None]:
        """Call `listener` with the storage after each write, in the writer's thread: it must not block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _stamp(self, document: Json) -> Json:
        self._revision = max(self._revision, revision_of(document)) + 1
        stamped: Json = clone(document)
        stamped["metadata"]["resourceVersion"] = str(self._revision)
        return stamped

    def _record(self, storage: Storage, event: Event) -> None:
        history = self._history[storage]
        history.append(event)
        if len(history) > HISTORY_EVENTS:
            self._floors[storage] = history.popleft().revision
        for listener in tuple(self._listeners):
            listener(storage)
