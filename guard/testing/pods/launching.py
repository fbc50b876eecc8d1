"""From a container's spec to a process that can be started: image, files, environment, command, probes.

Made afresh for every start, because a ConfigMap or an image that was missing may be there now. Knows one pod.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import CONFIG_MAPS, SECRETS, KubernetesClient, Object
from guard.errors import ConfigurationError, TidegateError
from guard.testing.pods.addresses import Lease
from guard.testing.pods.container import CannotStart, Launch
from guard.testing.pods.credentials import pod_kubeconfig
from guard.testing.pods.environment import command_line, environment, expand
from guard.testing.pods.images import Image, find_image
from guard.testing.pods.objects import key
from guard.testing.pods.probes import Place, make_probe
from guard.testing.pods.process import Process
from guard.testing.pods.reaper import TOKEN, Reaper
from guard.testing.pods.volumes import make_volumes, mount_volumes

DEFAULT_GRACE_SECONDS = 30

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True)
class Machine:
    """What all pods share.

    Attributes:
        images: Image name -> prefix; looked into at every start.
        root: Each pod has a folder `NAMESPACE/NAME` in it.
        kubeconfig: Given to each pod as KUBECONFIG, as its own service account where it names one.
        backoff_seconds: See `Container`.
    """

    client: KubernetesClient
    images: Mapping[str, Path]
    root: Path
    kubeconfig: Path
    token: str
    reaper: Reaper
    backoff_seconds: float


class Launcher:
    """Prepares the containers of one pod in the pod's folder."""

    def __init__(self, pod: Object, machine: Machine, lease: Lease, directory: Path, log: Path) -> None:
        self._pod, self._machine, self._lease = pod, machine, lease
        self._directory, self._log = directory, log
        self._volumes: dict[str, Path] = {}

    def launch(self, spec: Mapping[str, Any]) -> Launch:
        """What the next start of a container needs.

        Raises:
            CannotStart: With the reason of the waiting state.
        """
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
        argv = command_line(spec, env, self._lease.rewrite)
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
            self._volumes = make_volumes(self._pod, self._directory, self._lookup)
        mount_volumes(spec, root, self._volumes)

    def _environment(self, spec: Mapping[str, Any], image: Image, root: Path) -> dict[str, str]:
        base = {
            "PATH": image.search_path(),
            "HOME": str(self._directory),
            "TMPDIR": str(root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "HOSTNAME": key(self._pod)[1],
            "KUBECONFIG": str(pod_kubeconfig(self._machine.kubeconfig, self._pod, self._directory)),
            "POD_ROOT": str(root),
            "TIDEGATE_LOCAL": "1",
            TOKEN: self._machine.token,
        }
        pod = {**self._pod, "status": {"podIP": self._lease.address, "hostIP": "127.0.0.1"}}
        own = environment(spec, pod, self._lookup, base)
        return {name: self._lease.rewrite(value) for name, value in own.items()} | base

    def _probes(self, spec: Mapping[str, Any], env: Mapping[str, str], directory: Path) -> dict[str, Any]:
        plain = {e["name"]: str(e["value"]) for e in spec.get("env") or [] if "value" in e}
        place = Place(
            self._lease.address,
            partial(_port, spec, self._lease),
            env,
            str(directory),
            lambda word: self._lease.rewrite(expand(word, plain)),
        )
        kinds = ("startup", "readiness", "liveness")
        return {k: make_probe(spec[f"{k}Probe"], place) for k in kinds if spec.get(f"{k}Probe")}

    def _grace(self) -> float:
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS))

    def _lookup(self, kind: str, name: str) -> Object:
        resource = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}[kind]
        return self._machine.client.get(resource, key(self._pod)[0], name)


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
