"""A local copy of one kind of object, kept current by list and watch.

Level-triggered: readers look at `objects()` whenever they like, and `on_change` only wakes them. The official
client's informer is not used: it dies on custom resources and reconnects hundreds of times a second while
the server is down. While the server cannot be heard, `error` says why.
"""

import random
import threading
from collections.abc import Callable

from guard.adapters.kubernetes.client import KubernetesClient, Object, Resource
from guard.errors import GoneError

WATCH_SECONDS = 240
IDLE_SECONDS = 90.0  # the API server sends a bookmark about once a minute
MAX_BACKOFF_SECONDS = 10.0


class Reflector:
    """Objects of one resource in one namespace (None: all), by (namespace, name)."""

    def __init__(
        self,
        client: KubernetesClient,
        resource: Resource,
        namespace: str | None,
        on_change: Callable[[], None] = lambda: None,
        labels: str = "",
    ) -> None:
        self.resource = resource
        self.error: Exception | None = None
        self._client = client
        self._namespace = namespace
        self._labels = labels
        self._on_change = on_change
        self._objects: dict[tuple[str, str], Object] = {}
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reflector-{resource.plural}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; it is a daemon thread and may linger in a read until its timeout."""
        self._stop.set()

    def wait_for_sync(self, seconds: float) -> bool:
        """True once the first list has arrived."""
        return self._synced.wait(seconds)

    def objects(self) -> list[Object]:
        with self._lock:
            return list(self._objects.values())

    def get(self, namespace: str, name: str) -> Object | None:
        with self._lock:
            return self._objects.get((namespace, name))

    def _run(self) -> None:
        backoff = 0.1
        while not self._stop.is_set():
            try:
                version = self._list()
                backoff = 0.1
                self._watch(version)
            except Exception as error:  # a dead thread would freeze the copy for ever, unseen
                self.error = error
                self._stop.wait(backoff * random.uniform(0.5, 1.5))
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _list(self) -> str:
        listed = self._client.list(self.resource, self._namespace, labels=self._labels)
        with self._lock:
            self._objects = {_key(item): item for item in listed.get("items") or []}
        self._heard()
        self._synced.set()
        return str(listed["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        """Watches on and on from one version; returns to list again when that version is gone."""
        try:
            while not self._stop.is_set():
                for kind, item in self._client.watch(
                    self.resource,
                    self._namespace,
                    version,
                    labels=self._labels,
                    seconds=WATCH_SECONDS,
                    idle_seconds=IDLE_SECONDS,
                ):
                    version = item["metadata"]["resourceVersion"]
                    self._apply(kind, item)
                    if self._stop.is_set():
                        return
        except GoneError:
            return

    def _apply(self, kind: str, item: Object) -> None:
        if kind != "BOOKMARK":
            with self._lock:
                if kind == "DELETED":
                    self._objects.pop(_key(item), None)
                else:
                    self._objects[_key(item)] = item
        self._heard(changed=kind != "BOOKMARK")

    def _heard(self, changed: bool = True) -> None:
        self.error = None
        if changed:
            self._on_change()


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
