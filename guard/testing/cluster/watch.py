"""Watches: from stored history to the events one client sees.

`changes` is pure and decides what an event looks like under a selector; `Watch` follows the store from a
revision, with bookmarks, initial events and the end by timeout. How an object is shown (as itself, as a
Table) is the caller's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from guard.testing.cluster.objects import Json
from guard.testing.cluster.resources import Storage
from guard.testing.cluster.selectors import Predicate
from guard.testing.cluster.statuses import expired
from guard.testing.cluster.store import Compacted, Event, Store

BOOKMARK_SECONDS = 60.0  # kube-apiserver: about once a minute
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Signals:
    """Wakes the watches of a storage when it changes; the only bridge from writers' threads to the loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Storage, set[asyncio.Event]] = {}
        self.closing = False

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Wake watches of the running loop while the block lasts."""
        loop = asyncio.get_running_loop()
        self.closing = False

        def changed(storage: Storage) -> None:
            loop.call_soon_threadsafe(self._wake, storage)

        with self._store.listening(changed):
            yield

    def close(self) -> None:
        """End all watches: the server is going down. Call it from the loop."""
        self.closing = True
        for storage in tuple(self._waiting):
            self._wake(storage)

    def _wake(self, storage: Storage) -> None:
        for event in self._waiting.get(storage, ()):
            event.set()

    def subscribe(self, storage: Storage) -> asyncio.Event:
        event = asyncio.Event()
        self._waiting.setdefault(storage, set()).add(event)
        return event

    def unsubscribe(self, storage: Storage, event: asyncio.Event) -> None:
        self._waiting[storage].discard(event)


@dataclass(frozen=True)
class WatchQuery:
    """What one client asked for.

    Attributes:
        revision: Follow after this one; None begins with the present objects as ADDED.
        initial_bookmark: Say with an annotated bookmark where the present objects end (WatchList).
    """

    storage: Storage
    namespace: str
    matches: Predicate
    revision: int | None
    bookmarks: bool
    initial_bookmark: bool
    timeout_seconds: float


def change(event: Event, matches: Predicate) -> tuple[str, Json] | None:
    """The watch event for one write under a selector; None where it concerns objects not selected."""
    before = event.previous is not None and matches(event.previous)
    after = not event.removed and matches(event.stamped)
    if after:
        return ("MODIFIED" if before else "ADDED"), event.stamped
    return ("DELETED", event.stamped) if before else None


class Watch:
    """One client's view; iterate `events` until it ends."""

    def __init__(self, store: Store, signals: Signals, query: WatchQuery) -> None:
        self._store = store
        self._signals = signals
        self._query = query
        self._position = 0

    def _selected(self, document: Json) -> bool:
        namespace = self._query.namespace
        in_namespace = not namespace or document["metadata"].get("namespace") == namespace
        return in_namespace and self._query.matches(document)

    def _bookmark(self, template: Callable[[], Json], *, initial: bool = False) -> tuple[str, Json]:
        document = template()
        document["metadata"] = {"resourceVersion": str(self._position), "creationTimestamp": None}
        if initial:
            document["metadata"]["annotations"] = {INITIAL_EVENTS_END: "true"}
        return "BOOKMARK", document

    def _initial(self) -> list[tuple[str, Json]]:
        with self._store.lock:
            self._position = self._store.revision
            present = self._store.all(self._query.storage, self._query.namespace)
        return [("ADDED", item) for item in present if self._selected(item)]

    def _new(self) -> list[tuple[str, Json]]:
        with self._store.lock:
            events = self._store.since(self._query.storage, self._position)
            self._position = self._store.revision
        seen = (change(event, self._selected) for event in events)
        return [item for item in seen if item is not None]

    async def events(self, template: Callable[[], Json]) -> AsyncIterator[tuple[str, Json]]:
        """Events as (type, object); a 410 ends the watch as an ERROR event with a Status.

        Args:
            template: An empty object of the kind, for bookmarks.
        """
        query, wake = self._query, self._signals.subscribe(self._query.storage)
        deadline = time.monotonic() + query.timeout_seconds
        bookmark_due = time.monotonic() + BOOKMARK_SECONDS
        try:
            if query.revision is None:
                for item in self._initial():
                    yield item
                if query.initial_bookmark:
                    yield self._bookmark(template, initial=True)
            else:
                self._position = query.revision
            while not self._signals.closing:
                wake.clear()
                for item in self._new():
                    yield item
                due = min(deadline, bookmark_due)
                if await _woken(wake, due - time.monotonic()) and time.monotonic() < due:
                    continue
                if query.bookmarks:
                    yield self._bookmark(template)
                bookmark_due = time.monotonic() + BOOKMARK_SECONDS
                if due == deadline:
                    return
        except Compacted as gone:
            message = f"too old resource version: {self._position} ({gone.floor})"
            yield "ERROR", expired(message).to_json()
        finally:
            self._signals.unsubscribe(query.storage, wake)


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(wake.wait(), max(seconds, 0))
    except TimeoutError:
        return False
    return True
