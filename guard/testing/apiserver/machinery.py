"""etcd and the API server as child processes: start, wait until they serve, compact, end.

Owns their command lines and their folder. Whatever way the holder ends, they end: the pods' reaper kills them
where this could not. Refuses to know what is asked of them. Nothing is kept: storage is thrown away with the
folder, so etcd need not wait for the disk and both may simply be killed.
"""

import base64
import socket
import subprocess
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from guard.errors import TidegateError
from guard.testing.apiserver.certificates import Certificates, issue
from guard.testing.apiserver.parts import API_SERVER, ETCD, missing_parts
from guard.testing.pods.reaper import Reaper

START_SECONDS = 60.0
POLL_SECONDS = 0.05
# Admission that needs kinds which only a whole API server has.
_NO_ADMISSION = (
    "NamespaceLifecycle",
    "ValidatingAdmissionPolicy",
    "MutatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "MutatingAdmissionWebhook",
)


class MachineryError(TidegateError):
    """A part is missing or did not start; says what to do, or has the end of its log."""


class ApiMachinery:
    """Use as a context manager; serves custom resources over TLS when it is entered.

    Args:
        folder: Empty or absent; gets certificates, logs and etcd's data.
        core_kubeconfig: Leads to the API server that has the core group; it must serve already.
        host: Loopback address of both processes.
    """

    def __init__(self, folder: Path, core_kubeconfig: Path, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._core = core_kubeconfig
        self._host = host
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reaper: Reaper | None = None
        self._ports = dict(zip(("etcd", "etcd-peer", "api"), _free_ports(host, 3), strict=True))

    @property
    def url(self) -> str:
        return f"https://{self._host}:{self._ports['api']}"

    @property
    def certificates(self) -> Certificates:
        """Raises AttributeError before the block is entered."""
        return self._certificates

    def __enter__(self) -> Self:
        problem = missing_parts()
        if problem:
            raise MachineryError(problem)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._certificates = issue(self._folder, self._host)
        self._reaper = Reaper(uuid.uuid4().hex)
        try:
            self._start("etcd", self._etcd())
            self._start("api", self._api_server())
            self._wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def stop_serving(self) -> None:
        """Kill the API server; its storage stays, for `restart`."""
        self._kill("api")

    def restart(self) -> None:
        """The API server begins anew on the same storage and address, as after an upgrade."""
        if "api" in self._processes:
            self._kill("api")
        self._start("api", self._api_server())
        self._wait_ready()

    def compact(self) -> None:
        """Forget history: older revisions and continue tokens are gone (410).

        The API server answers recent revisions from memory whatever etcd has forgotten, so it is restarted.
        """
        url = f"http://{self._host}:{self._ports['etcd']}/v3/kv"
        with httpx.Client(trust_env=False, timeout=10) as etcd:
            some_key = base64.b64encode(b"/").decode()
            header = etcd.post(f"{url}/range", json={"key": some_key}).raise_for_status().json()["header"]
            body = {"revision": header["revision"], "physical": True}
            etcd.post(f"{url}/compaction", json=body).raise_for_status()
        self.restart()

    def check(self) -> None:
        """Raises MachineryError when one of the processes has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise MachineryError(f"{name} ended with {process.returncode}:\n{self._log_tail(name)}")

    def _etcd(self) -> list[str]:
        clients, peers = (f"http://{self._host}:{self._ports[name]}" for name in ("etcd", "etcd-peer"))
        return [
            str(ETCD),
            f"--data-dir={self._folder / 'etcd'}",
            *(f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server(self) -> list[str]:
        files, core = self._certificates, self._core
        return [
            str(API_SERVER),
            f"--etcd-servers=http://{self._host}:{self._ports['etcd']}",
            *(f"--bind-address={self._host}", f"--secure-port={self._ports['api']}"),
            *(f"--tls-cert-file={files.server}", f"--tls-private-key-file={files.server}"),
            f"--client-ca-file={files.authority}",
            "--authentication-skip-lookup=true",
            *(f"--{use}kubeconfig={core}" for use in ("", "authentication-", "authorization-")),
            f"--disable-admission-plugins={','.join(_NO_ADMISSION)}",
            "--enable-priority-and-fairness=false",
        ]

    def _start(self, name: str, argv: list[str]) -> None:
        assert self._reaper is not None
        with self._log(name).open("ab") as output:
            process = subprocess.Popen(
                argv,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = process
        self._reaper.started(process.pid)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(verify=self._certificates.context(), trust_env=False, timeout=5) as client:
            while not self._ready(client):
                self.check()
                if time.monotonic() > deadline:
                    raise MachineryError(f"not ready within {START_SECONDS:.0f} s:\n{self._log_tail('api')}")
                time.sleep(POLL_SECONDS)

    def _ready(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _end(self) -> None:
        for name in list(reversed(self._processes)):
            self._kill(name)
        if self._reaper is not None:
            self._reaper.close()

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()
        if self._reaper is not None:
            self._reaper.ended(process.pid)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _log_tail(self, name: str, lines: int = 15) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])


def _free_ports(host: str, count: int) -> list[int]:
    """Ports that are free now; another may take one before its server does, which then says so in its log."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server((host, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
