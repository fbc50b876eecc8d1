"""The demo's cluster on one machine: FakeCluster and LocalPods as processes, and kubectl against them.

Owns starting, waiting and ending; whatever way the demo ends, nothing is left running. Refuses to know
rollouts.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from guard.adapters.kubernetes.client import DEPLOYMENTS, HTTP_ROUTES, KubernetesClient, Object
from guard.adapters.workloads import rolled_out
from guard.errors import ConfigurationError, TidegateError

START_SECONDS = 30.0
END_SECONDS = 20.0
POLL_SECONDS = 0.1


class DemoError(TidegateError):
    """A part of the demo did not start or did not do as it should; names its log."""


class Machine:
    """Use as a context manager: `with Machine(folder, repository) as machine:`."""

    def __init__(self, folder: Path, repository: Path, real_api: bool = False) -> None:
        """`real_api`: custom resources by Kubernetes' own API machinery, behind FakeCluster's address."""
        self.real_api = real_api
        self.folder = folder
        self.repository = repository
        self.kubeconfig = folder / "kubeconfig"
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._client: KubernetesClient | None = None

    @property
    def client(self) -> KubernetesClient:
        if self._client is None:
            self._client = KubernetesClient(str(self.kubeconfig))
        return self._client

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Ends all that was started, last first; waits, then kills. A second Ctrl-C does not stop it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
        while self._processes:
            _, process = self._processes.pop()
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

    def start_cluster(self, images: Mapping[str, Path], addresses: str) -> None:
        """The API and its node; both serve when this returns."""
        self.start_api()
        named = [part for name, prefix in images.items() for part in ("--image", f"{name}={prefix}")]
        pods = ["pods", "--kubeconfig", str(self.kubeconfig), "--root", str(self.folder / "pods")]
        self._start_ready("pods", [*pods, "--addresses", addresses, *named])

    def start_api(self) -> None:
        """The API alone; it serves when this returns."""
        kinds = ["--real-api", str(self.folder / "api")] if self.real_api else ["--gateway-api"]
        self._start_ready("cluster", ["cluster", *kinds, "--write-kubeconfig", str(self.kubeconfig)])

    def start(self, name: str, argv: Sequence[str], program: str = sys.executable) -> None:
        """A process of its own, Python's unless told otherwise; its output goes to a log."""
        log = self.log(name)
        with log.open("ab") as output:
            self._processes.append((name, self._popen(argv, output, output, program)))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs the real kubectl.

        Raises:
            DemoError: It failed; has what it said.
        """
        program = Path(sys.executable).parent / "kubectl"
        done = subprocess.run(
            [str(program), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def tidegate(self, *arguments: str) -> str:
        """Runs our own command line, as a pipeline would."""
        done = subprocess.run(
            [sys.executable, "-m", "guard.cli", *arguments, "--kubeconfig", str(self.kubeconfig)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(f"tidegate {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Polls until it holds.

        Raises:
            DemoError: It did not in time, or a process of the demo has ended meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not self._holds(holds):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: not within {seconds:.0f} s; see the logs in {self.folder}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raises DemoError when a process of the demo has ended."""
        for name, process in self._processes:
            if process.poll() is not None:
                raise DemoError(f"{name} ended with {process.returncode}:\n{_tail(self.log(name))}")

    def rolled_out(self, namespace: str, name: str) -> bool:
        return rolled_out(self.client.get(DEPLOYMENTS, namespace, name))

    def route(self, namespace: str, name: str) -> Object:
        return self.client.get(HTTP_ROUTES, namespace, name)

    def list(self, resource: Any, namespace: str) -> list[Object]:
        items: list[Object] = self.client.list(resource, namespace)["items"]
        return items

    def _holds(self, holds: Callable[[], bool]) -> bool:
        try:
            return holds()
        except TidegateError:
            return False  # not there yet; the deadline is the caller's

    def _start_ready(self, name: str, arguments: Sequence[str]) -> None:
        """Starts one of the doubles and waits until it says `ready`."""
        with self.log(name).open("ab") as output:
            process = self._popen(["-m", "guard.testing", *arguments], subprocess.PIPE, output)
        self._processes.append((name, process))
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"ready":
                return
        raise DemoError(f"{name} did not start:\n{_tail(self.log(name))}")

    def _popen(
        self, argv: Sequence[str], stdout: Any, stderr: Any, program: str = sys.executable
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [program, *argv],
            cwd=self.repository,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # a Ctrl-C reaches the demo alone, which then ends them in order
            preexec_fn=_end_with_the_demo,
        )


def _end_with_the_demo() -> None:
    """In the child: SIGTERM when the demo dies, even by SIGKILL. Linux only; elsewhere Ctrl-C must do."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def need_parts(real_api: bool = False) -> None:
    """Raises ConfigurationError with the remedy when a part of the demo is not installed."""
    import importlib.util

    here = Path(sys.executable).parent
    missing = [
        name for name in ("xllamacpp", "starlette", "uvicorn") if importlib.util.find_spec(name) is None
    ]
    missing += [name for name in ("traefik", "kubectl") if not (here / name).exists()]
    if missing:
        raise ConfigurationError(f"the demo lacks {', '.join(missing)}; run it with: make demo")
    if real_api:
        _need_machinery()


def _need_machinery() -> None:
    from guard.testing.apiserver.parts import missing_parts

    problem = missing_parts()
    if problem:
        raise ConfigurationError(problem)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may be half written."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [
        json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line.strip()
    ]
