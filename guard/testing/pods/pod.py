"""One pod on this machine: what a kubelet does for it, from the first status to the last.

Knows its own pod only; Deployments and Services are others' business. Every change of a container is written
to the pod's status at once, and again by `publish` whenever that failed.
"""

import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import CONFIG_MAPS, PODS, SECRETS, KubernetesClient, Object
from guard.errors import ConfigurationError, NotFoundError, TidegateError
from guard.testing.pods.addresses import Lease
from guard.testing.pods.container import CannotStart, Container, Launch
from guard.testing.pods.endpoints import PORTS_ANNOTATION
from guard.testing.pods.environment import command_line, environment, expand
from guard.testing.pods.images import Image, find_image
from guard.testing.pods.objects import key
from guard.testing.pods.pod_status import pod_status
from guard.testing.pods.probes import Place, make_probe
from guard.testing.pods.process import Process
from guard.testing.pods.reaper import TOKEN, Reaper
from guard.testing.pods.volumes import make_volumes, mount_volumes

LOG_ANNOTATION = "local.tidegate.dev/log-file"
DEFAULT_GRACE_SECONDS = 30
RETRY_SECONDS = 1.0

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True)
class Machine:
    """What all pods share.

    Attributes:
        images: Image name -> prefix; looked into at every start.
        root: Each pod has a folder `NAMESPACE/NAME` in it.
        kubeconfig: Given to each pod as KUBECONFIG.
        backoff_seconds: See `Container`.
    """

    client: KubernetesClient
    images: Mapping[str, Path]
    root: Path
    kubeconfig: Path
    token: str
    reaper: Reaper
    backoff_seconds: float


class LocalPod:
    """A pod that this machine runs. `start` returns at once; so does `end`."""

    def __init__(self, pod: Object, machine: Machine, lease: Lease) -> None:
        self.pod = pod
        self.lease = lease
        self._machine = machine
        self._directory = machine.root.joinpath(*key(pod)).absolute()
        self._log = self._directory / "log"
        self._began = time.time()
        self._volumes: dict[str, Path] = {}
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
        launch = partial(self._launch, spec)
        return Container(
            spec["name"],
            spec.get("image") or "",
            launch,
            restart,
            self._machine.backoff_seconds,
            self.publish,
        )

    def _launch(self, spec: Mapping[str, Any]) -> Launch:
        image = find_image(self._machine.images, spec.get("image") or "")
        if image is None:
            known = ", ".join(sorted(self._machine.images)) or "none"
            raise CannotStart("ErrImagePull", f"no local image {spec.get('image')!r}; known: {known}")
        try:
            return self._launch_from(spec, image)
        except (ConfigurationError, ValueError) as error:
            raise CannotStart("CreateContainerConfigError", str(error)) from error
        except (TidegateError, OSError) as error:
            raise CannotStart("CreateContainerError", str(error)) from error

    def _launch_from(self, spec: Mapping[str, Any], image: Image) -> Launch:
        root = self._directory / "root" / spec["name"]
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        self._mount(spec, root)
        env = self._environment(spec, image, root)
        argv = command_line(spec, env, self.lease.rewrite)
        program = shutil.which(argv[0], path=env["PATH"]) or argv[0]
        directory = root / str(spec.get("workingDir") or "").lstrip("/")
        directory.mkdir(parents=True, exist_ok=True)
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        start: Callable[[], Process] = partial(
            Process,
            [program, *argv[1:]],
            env,
            directory,
            self._log,
            self._machine.reaper,
            memory_limit_bytes=None if limit is None else bytes_of(limit),
        )
        probes = self._probes(spec, env, directory)
        return Launch(f"local://{image.name}@{image.digest}", start, probes, self._grace())

    def _mount(self, spec: Mapping[str, Any], root: Path) -> None:
        if not self._volumes:
            self._volumes = make_volumes(self.pod, self._directory, self._lookup)
        mount_volumes(spec, root, self._volumes)

    def _environment(self, spec: Mapping[str, Any], image: Image, root: Path) -> dict[str, str]:
        base = {
            "PATH": image.search_path(),
            "HOME": str(self._directory),
            "TMPDIR": str(root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "HOSTNAME": key(self.pod)[1],
            "KUBECONFIG": str(self._machine.kubeconfig),
            "POD_ROOT": str(root),
            "TIDEGATE_LOCAL": "1",
            TOKEN: self._machine.token,
        }
        pod = {**self.pod, "status": {"podIP": self.lease.address, "hostIP": "127.0.0.1"}}
        own = environment(spec, pod, self._lookup, base)
        return {name: self.lease.rewrite(value) for name, value in own.items()} | base

    def _probes(self, spec: Mapping[str, Any], env: Mapping[str, str], directory: Path) -> dict[str, Any]:
        plain = {e["name"]: str(e["value"]) for e in spec.get("env") or [] if "value" in e}
        place = Place(
            self.lease.address,
            partial(_port, spec, self.lease),
            env,
            str(directory),
            lambda word: self.lease.rewrite(expand(word, plain)),
        )
        kinds = ("startup", "readiness", "liveness")
        return {k: make_probe(spec[f"{k}Probe"], place) for k in kinds if spec.get(f"{k}Probe")}

    def _grace(self) -> float:
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS))

    def _lookup(self, kind: str, name: str) -> Object:
        resource = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}[kind]
        return self._machine.client.get(resource, key(self.pod)[0], name)


def bytes_of(quantity: str | int) -> int:
    """A memory quantity in bytes.

    Raises:
        ConfigurationError: It is none, or in a unit that memory is not written in.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", str(quantity))
    if not found or found[2] not in _UNITS:
        raise ConfigurationError(f"memory {quantity!r} is no quantity; write 512Mi, say")
    return int(float(found[1]) * _UNITS[found[2]])


def _port(spec: Mapping[str, Any], lease: Lease, wanted: int | str) -> int | None:
    number = wanted
    if isinstance(wanted, str) and not wanted.isdigit():
        named = (p["containerPort"] for p in spec.get("ports") or [] if p.get("name") == wanted)
        number = next(named, None)  # type: ignore[assignment]
    return None if number is None else lease.ports.get(int(number), int(number))
