"""FakeCluster: the double as tests and tools hold it, served over HTTP from a thread."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import yaml

from guard.testing.cluster import gateway_api
from guard.testing.cluster.api import Api
from guard.testing.cluster.app import App
from guard.testing.cluster.connections import Connections
from guard.testing.cluster.faults import Fault, FaultKind, Faults, RecordedRequest, Recorder
from guard.testing.cluster.kubeconfig import kubeconfig
from guard.testing.cluster.lists import Lists
from guard.testing.cluster.objects import Json
from guard.testing.cluster.requests import WriteOptions
from guard.testing.cluster.resources import NAMESPACES, Catalog
from guard.testing.cluster.routes import Routes
from guard.testing.cluster.store import Store
from guard.testing.cluster.upstream import Upstream
from guard.testing.cluster.watch import Signals
from guard.testing.serving import PromptServer

_SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class _Server(PromptServer):
    """uvicorn that ends the watches before it waits for open requests."""

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._before_shutdown()
        await super().shutdown(sockets)


class FakeCluster:
    """A Kubernetes API in memory; `serve` puts it on a port.

    Attributes:
        url: Where it serves; empty before `serve`.
    """

    def __init__(self) -> None:
        self.url = ""
        self._store = Store()
        self._catalog = Catalog()
        self._api = Api(self._store, self._catalog)
        self._lists = Lists(self._store)
        self._signals = Signals(self._store)
        self._faults = Faults()
        self._recorder = Recorder()
        self._connections = Connections()
        routes = Routes(self._api, self._lists, self._signals)
        self.app = App(routes, self._signals, self._faults, self._recorder, self._connections)
        for name in _SYSTEM_NAMESPACES:
            self._api.create(NAMESPACES, "", {"metadata": {"name": name}}, WriteOptions("fake-cluster"))

    @classmethod
    @contextmanager
    def serve(cls, port: int = 0, host: str = "127.0.0.1") -> Iterator["FakeCluster"]:
        """A new cluster, served until the block ends; port 0 takes a free one."""
        cluster = cls()
        with cluster.serving(port, host):
            yield cluster

    @contextmanager
    def serving(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[None]:
        """Serve this cluster from a thread until the block ends; its objects outlive the block.

        Raises:
            OSError: The address cannot be bound.
        """
        listener = socket.create_server((host, port))
        server = _Server(self._config(), self._before_shutdown)
        thread = threading.Thread(target=server.run, args=([listener],), name="fake-cluster", daemon=True)
        self.url = f"http://{host}:{listener.getsockname()[1]}"
        thread.start()
        try:
            self._connections.wait_attached()
            yield
        finally:
            server.leave()
            thread.join()

    def _before_shutdown(self) -> None:
        self._faults.resume()
        self._signals.close()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.app,
            http=self._connections.protocol(),
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )

    def apply(self, documents: str | Iterable[Json]) -> list[Json]:
        """Create or replace objects, from YAML text or as dicts, in order; what is stored comes back.

        A status in a document is written, too, as a controller would write it.

        Raises:
            ValueError: A kind is not served here.
            StatusError: The API refuses an object.
        """
        if isinstance(documents, str):
            documents = [document for document in yaml.safe_load_all(documents) if document]
        return [kept for document in documents for kept in self._apply_one(document)]

    def _apply_one(self, document: Json) -> list[Json]:
        if document.get("kind", "").endswith("List") and "items" in document:
            return self.apply(document["items"])
        type_ = self._catalog.find_kind(document.get("apiVersion", ""), document.get("kind", ""))
        if type_ is None:
            raise ValueError(f"no such kind here: {document.get('apiVersion')} {document.get('kind')}")
        return [self._api.upsert(type_, document, WriteOptions("fake-cluster"))]

    def register_gateway_api(self) -> None:
        """Serve the Gateway API's kinds by our own minimal definitions, where nobody applied others."""
        served = {(row.group, row.plural) for row in self._catalog}
        for definition in gateway_api.definitions():
            spec = definition["spec"]
            if (spec["group"], spec["names"]["plural"]) not in served:
                self.apply([definition])

    def pass_through(self, upstream: Upstream) -> None:
        """Leave custom groups and their definitions to another API server from now on.

        What was registered here is no longer served; `apply` then takes built-in kinds only.
        """
        self._catalog.leave_definitions()
        self.app.upstream = upstream

    def write_kubeconfig(self, path: Path | str) -> Path:
        """Write a kubeconfig that leads here, and return its path."""
        target = Path(path)
        target.write_text(kubeconfig(self.url))
        return target

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked so far, oldest first."""
        return self._recorder.all()

    def clear_requests(self) -> None:
        self._recorder.clear()

    def compact(self) -> None:
        """Forget history: older revisions and continue tokens answer 410."""
        self._store.compact()
        self._lists.forget()

    def fail_next(
        self, times: int = 1, *, kind: FaultKind = "error", code: int = 500, method: str = "", path: str = ""
    ) -> None:
        """Make the next requests fail whose method equals and whose path contains what is given."""
        self._faults.add(Fault(kind, times, code, method, path))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Answer nothing in this block, watches included; connections stay open."""
        with self._faults.paused():
            yield

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Drop all connections and accept none in this block."""
        with self._connections.cut():
            yield

    def drop_connections(self) -> None:
        """Break every open connection, once."""
        self._connections.drop_all()
