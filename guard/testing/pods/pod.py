"""One pod on this machine: what a kubelet does for it, from the first status to the last.

Knows its own pod only; Deployments and Services are others' business. Every change of a container is written
to the pod's status at once, and again by `publish` whenever that failed.
"""

import shutil
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from guard.adapters.kubernetes.client import PODS, Object
from guard.errors import NotFoundError, TidegateError
from guard.testing.pods.addresses import Lease
from guard.testing.pods.container import Container
from guard.testing.pods.endpoints import PORTS_ANNOTATION
from guard.testing.pods.launching import Launcher, Machine
from guard.testing.pods.objects import key
from guard.testing.pods.pod_status import pod_status

LOG_ANNOTATION = "local.tidegate.dev/log-file"
RETRY_SECONDS = 1.0


class LocalPod:
    """A pod that this machine runs. `start` returns at once; so does `end`."""

    def __init__(self, pod: Object, machine: Machine, lease: Lease) -> None:
        self.pod = pod
        self.lease = lease
        self._machine = machine
        self._directory = machine.root.joinpath(*key(pod)).absolute()
        self._log = self._directory / "log"
        self._began = time.time()
        self._launcher = Launcher(pod, machine, lease, self._directory, self._log)
        self._lock = threading.Lock()
        self._written: Object = {}
        self._ending = threading.Event()
        self._gone = threading.Event()
        self._silent = False
        policy = pod["spec"].get("restartPolicy") or "Always"
        retry = "Never" if policy == "Never" else "OnFailure"
        self._init = [self._container(c, retry) for c in pod["spec"].get("initContainers") or []]
        self._main = [self._container(c, policy) for c in pod["spec"]["containers"]]
        self._run_thread = threading.Thread(target=self._run, name=f"pod-{key(pod)[1]}", daemon=True)

    @property
    def pids(self) -> list[int]:
        """Processes of its containers that run now."""
        return [c.pid for c in (*self._init, *self._main) if c.pid is not None]

    @property
    def is_gone(self) -> bool:
        return self._gone.is_set()

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    def start(self) -> None:
        self._run_thread.start()

    def end(self, grace_seconds: float, remove: bool) -> None:
        """SIGTERM, SIGKILL after the grace; then, with `remove`, the Pod object goes.

        Without `remove` the object stays as it was last seen. Calls after the first do nothing.
        """
        if self._ending.is_set():
            return
        self._silent = not remove
        self._ending.set()
        threading.Thread(target=self._end, args=(grace_seconds, remove), daemon=True).start()

    def wait_until_gone(self) -> None:
        self._gone.wait()

    def publish(self) -> None:
        """Write the status if it differs from what was written; a failure is retried by the next call."""
        with self._lock:
            main = [c.status() for c in self._main]
            finished = all(c.finished for c in self._main)
            init = [c.status() for c in self._init]
            now = time.time()
            status = pod_status(self._written, self.lease.address, init, main, finished, self._began, now)
            if self._silent or status == self._written:
                return
            try:
                self._machine.client.patch_merge(
                    PODS, *key(self.pod), {"status": status}, subresource="status"
                )
            except TidegateError:
                return
            self._written = status

    def _run(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log.touch()
        self._annotate()
        self.publish()
        for container in self._init:
            container.run()
            if container.exit is None or container.exit.code != 0:
                for unreachable in self._main:
                    unreachable.finished = True
                self.publish()
                return
        for container in self._main:
            threading.Thread(target=container.run, name=f"container-{container.name}", daemon=True).start()

    def _annotate(self) -> None:
        annotations = {LOG_ANNOTATION: str(self._log)}
        if self.lease.ports:
            annotations[PORTS_ANNOTATION] = ",".join(f"{d}:{r}" for d, r in self.lease.ports.items())
        while not self._ending.is_set():
            try:
                body = {"metadata": {"annotations": annotations}}
                self.pod = self._machine.client.patch_merge(PODS, *key(self.pod), body)
                return
            except NotFoundError:
                return
            except TidegateError:
                self._ending.wait(RETRY_SECONDS)

    def _end(self, grace_seconds: float, remove: bool) -> None:
        everything = [*self._init, *self._main]
        enders = [threading.Thread(target=c.end, args=(grace_seconds,), daemon=True) for c in everything]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        if remove:
            self._remove()
        shutil.rmtree(self._directory / "volumes", ignore_errors=True)
        self._gone.set()

    def _remove(self) -> None:
        self.publish()
        try:
            self._machine.client.delete(PODS, *key(self.pod), grace_seconds=0)
        except TidegateError:
            return  # gone already, or the next pass finds it still there and asks again

    def _container(self, spec: Mapping[str, Any], restart: str) -> Container:
        launch = partial(self._launcher.launch, spec)
        return Container(
            spec["name"],
            spec.get("image") or "",
            launch,
            restart,
            self._machine.backoff_seconds,
            self.publish,
        )
