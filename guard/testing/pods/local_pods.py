"""LocalPods: the controllers and the kubelet of a cluster whose only node is this machine.

One loop: look at everything, then let each controller take the steps that are allowed now. Watches only wake
it; a pass reads afresh, so it never acts on a copy that lacks its own last write. It owns the order in which
things happen: Services before pods, so that an endpoint is withdrawn before its process is told to end.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from guard.adapters.kubernetes.client import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    KubernetesClient,
    Object,
    Resource,
)
from guard.adapters.kubernetes.reflector import Reflector
from guard.errors import ConfigurationError, ConflictError, NotFoundError, TidegateError
from guard.testing.pods.addresses import Addresses
from guard.testing.pods.deployments import reconcile_deployment
from guard.testing.pods.endpoints import reconcile_service
from guard.testing.pods.jobs import reconcile_job
from guard.testing.pods.launching import Machine
from guard.testing.pods.objects import NODE, Snapshot, is_finished, is_terminating, key, uid
from guard.testing.pods.pod import LocalPod
from guard.testing.pods.reaper import Reaper
from guard.testing.pods.replica_sets import reconcile_replica_set

RESYNC_SECONDS = 1.0
DEFAULT_BACKOFF_SECONDS = 10.0  # the kubelet's and the job controller's first
CLOSE_GRACE_SECONDS = 10.0
_WATCHED = (DEPLOYMENTS, REPLICA_SETS, PODS, JOBS, SERVICES)

log = logging.getLogger(__name__)


class LocalPods:
    """Runs the pods of a cluster as processes of this machine, from entering to leaving the `with`.

    Args:
        kubeconfig: Names an API server on loopback; its pods get the same file.
        images: Image name -> prefix (a venv). May be changed while running.
        root: Folder for the pods' files and logs; made when missing, kept afterwards.
        addresses: Range of loopback addresses for the pods, one range for each LocalPods that runs.
        backoff_seconds: Before a container's second restart and a Job's next pod; doubles.
    Raises (on entering):
        ConfigurationError: The API server is not on this machine: pods of a real cluster have a kubelet.
    """

    def __init__(
        self,
        kubeconfig: str | Path,
        images: Mapping[str, str | Path],
        root: str | Path,
        addresses: str = "127.20.0.0/16",
        backoff_seconds: float = DEFAULT_BACKOFF_SECONDS,
        close_grace_seconds: float = CLOSE_GRACE_SECONDS,
    ) -> None:
        self._client = KubernetesClient(str(kubeconfig), user_agent="local-pods")
        self._addresses = Addresses(addresses)
        self._images = {name: Path(prefix).absolute() for name, prefix in images.items()}
        self._root, self._kubeconfig = Path(root).absolute(), Path(kubeconfig).absolute()
        self._backoff = backoff_seconds
        self._close_grace = close_grace_seconds
        self._pods: dict[str, LocalPod] = {}
        self._wake, self._stop = threading.Event(), threading.Event()
        self._reflectors = [Reflector(self._client, kind, None, self._wake.set) for kind in _WATCHED]
        self._loop = threading.Thread(target=self._run, name="local-pods", daemon=True)

    def __enter__(self) -> Self:
        host = urlsplit(self._client.url).hostname or ""
        if host != "localhost" and not host.startswith("127."):
            raise ConfigurationError(
                f"LocalPods runs pods of an API server on this machine only, not of {self._client.url}"
            )
        self._root.mkdir(parents=True, exist_ok=True)
        token = uuid.uuid4().hex
        self._reaper = Reaper(token)
        self._machine = Machine(
            self._client, self._images, self._root, self._kubeconfig, token, self._reaper, self._backoff
        )
        for reflector in self._reflectors:
            reflector.start()
        self._loop.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process and wait for it; the API keeps the pods as they were last seen."""
        self._stop.set()
        self._wake.set()
        for reflector in self._reflectors:
            reflector.stop()
        self._loop.join()
        pods = list(self._pods.values())
        for pod in pods:
            pod.end(self._close_grace, remove=False)
        for pod in pods:
            pod.wait_until_gone()
        self._reaper.close()

    @property
    def pids(self) -> list[int]:
        """The processes of all containers that run now."""
        return [pid for pod in list(self._pods.values()) for pid in pod.pids]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(RESYNC_SECONDS)
            self._wake.clear()
            try:
                self._pass()
            except TidegateError as error:
                log.warning("local pods: %s", error)
                self._stop.wait(RESYNC_SECONDS)

    def _pass(self) -> None:
        state = self._look()
        now = time.time()
        for service in state.services:
            _attempt(reconcile_service, self._client, service, state)
        self._run_pods(state)
        for deployment in state.deployments:
            _attempt(reconcile_deployment, self._client, deployment, state, now)
        for replica_set in state.replica_sets:
            _attempt(reconcile_replica_set, self._client, replica_set, state, now)
        for job in state.jobs:
            _attempt(reconcile_job, self._client, job, state, now, self._backoff)

    def _look(self) -> Snapshot:
        def items(kind: Resource) -> list[Object]:
            return list(self._client.list(kind).get("items") or [])

        return Snapshot(
            deployments=_alive(items(DEPLOYMENTS)),
            replica_sets=_alive(items(REPLICA_SETS)),
            pods=items(PODS),
            jobs=_alive(items(JOBS)),
            services=_alive(items(SERVICES)),
            slices=items(ENDPOINT_SLICES),
        )

    def _run_pods(self, state: Snapshot) -> None:
        """Start what is new, end what is being deleted or gone, and forget what has ended."""
        present = {uid(pod): pod for pod in state.pods}
        for identity, pod in present.items():
            if identity not in self._pods:
                _attempt(self._adopt, pod)
            elif is_terminating(pod):
                grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
                self._pods[identity].end(grace, remove=True)
        for identity, local in list(self._pods.items()):
            if identity not in present:
                local.end(0, remove=False)
            if local.is_gone:
                self._addresses.release(local.lease)
                del self._pods[identity]
            elif not local.is_ending:
                local.publish()

    def _adopt(self, pod: Object) -> None:
        """Run a pod that is new here; one that was being deleted when nobody ran it only goes."""
        if pod["spec"].get("nodeName", NODE) != NODE or is_finished(pod):
            return
        if is_terminating(pod):
            _attempt(self._client.delete, PODS, *key(pod), 0)
            return
        containers = pod["spec"]["containers"]
        declared = [int(p["containerPort"]) for c in containers for p in c.get("ports") or []]
        local = LocalPod(pod, self._machine, self._addresses.take(declared))
        self._pods[uid(pod)] = local
        local.start()


def _alive(items: list[Object]) -> list[Object]:
    return [item for item in items if not is_terminating(item)]


def _attempt(step: Callable[..., object], *arguments: object) -> None:
    """One object's step; what changed under it, or went, is seen in the next pass."""
    try:
        step(*arguments)
    except (ConflictError, NotFoundError) as error:
        log.debug("local pods: %s", error)
    except TidegateError as error:
        log.warning("local pods: %s", error)
    except Exception:
        # An object that the API let through and no controller understands must not stop all the others.
        log.exception("local pods: %s failed", getattr(step, "__name__", step))
