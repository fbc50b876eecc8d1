"""Runs what was allowed: no shell, a minimal environment, a time limit, a bounded output.

Owns the processes and the sentinel, a count of everything it ever started for a call. Refuses to know why a
call was allowed.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.policy import git, git_settings, kubectl
from stack.policy.calls import Call

MAX_OUTPUT_BYTES = 64 * 1024
_PARALLEL = 4


@dataclass(frozen=True)
class Tools:
    """The programs, as the operator named them; None: not here."""

    git: str | None
    kubectl: str | None
    kubeconfig: str | None
    namespace: str | None
    tests: Mapping[str, Sequence[str]]
    path: str = "/usr/local/bin:/usr/bin:/bin"
    timeout_seconds: float = 20.0


@dataclass(frozen=True)
class Outcome:
    """How a process ended. The texts are the tool's: hostile."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    timed_out: bool = False


class Executor:
    """`runs` is the sentinel: it grows before a process is started, so that nothing can run uncounted."""

    def __init__(self, tools: Tools, workspace: Path) -> None:
        self._tools = tools
        self._workspace = workspace
        self._places = threading.BoundedSemaphore(_PARALLEL)
        self._lock = threading.Lock()
        self._home = tempfile.TemporaryDirectory(prefix="policy-home-")
        self.runs = 0

    def run(self, call: Call) -> Outcome:
        """Run the call to its end. Never raises for what the call says."""
        with self._lock:
            self.runs += 1
        if call.tool == "tests" and list(call.argv) == ["list"]:
            return Outcome(0, "".join(f"{name}\n" for name in sorted(self._tools.tests)))
        if call.tool == "git":
            return self._run_git(call, self._workspace / call.cwd)
        return self.process(self._command(call), self._workspace / call.cwd)

    def process(
        self,
        command: Sequence[str] | None,
        folder: Path,
        most_bytes: int = MAX_OUTPUT_BYTES,
        more: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run one command in the tools' environment, uncounted: what the gateway itself wants to know."""
        if command is None:
            return Outcome(127, stderr="this gateway has no such tool")
        with self._places:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=self._environment() | dict(more or {}),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                return Outcome(127, stderr=f"{type(error).__name__}: {error}")
            return _end_of(process, self._tools.timeout_seconds, most_bytes)

    def kubectl_command(self, *argv: str) -> list[str] | None:
        program, cache = self._tools.kubectl, f"{self._home.name}/kube-cache"
        return None if program is None else kubectl.command(program, argv, cache, self._tools.namespace)

    def close(self) -> None:
        self._home.cleanup()

    def _run_git(self, call: Call, folder: Path) -> Outcome:
        """Nothing is started where the settings cannot be read whole: some program could be among them."""
        program, top = self._tools.git, git.work_tree(folder, self._workspace)
        if program is None:
            return self.process(None, folder)
        more: Mapping[str, str] = {}
        if top is not None:  # only a gateway that is deliberately weak comes here without one
            whole = git_settings.environment(top, ())
            listed = self.process([*git_settings.start(program), *git_settings.LIST], folder, more=whole)
            if listed.exit_code != 0 or "\N{REPLACEMENT CHARACTER}" in listed.stdout:
                return Outcome(128, stderr=listed.stderr or "the repository's settings cannot be read")
            more = git_settings.environment(top, listed.stdout.split("\0"))
        return self.process(git.command(program, call.argv), folder, more=more)

    def _command(self, call: Call) -> list[str] | None:
        if call.tool == "kubectl":
            return self.kubectl_command(*call.argv)
        named = self._tools.tests.get(call.argv[-1])
        return None if named is None else list(named)

    def _environment(self) -> dict[str, str]:
        """Nothing of the gateway's own but where the cluster is: its keys and tokens stay with it."""
        ours = {"PATH": self._tools.path, "HOME": self._home.name, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        if self._tools.kubeconfig is not None:
            ours["KUBECONFIG"] = self._tools.kubeconfig
        in_cluster = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
        ours |= {name: os.environ[name] for name in in_cluster if name in os.environ}
        return ours | git_settings.ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(self._workspace.parent)}


def _end_of(process: subprocess.Popen[bytes], timeout_seconds: float, most_bytes: int) -> Outcome:
    """Read to the end, to the bound or to the time limit; then nothing of the process group is left."""
    deadline = time.monotonic() + timeout_seconds
    read: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    timed_out = False
    with process, selectors.DefaultSelector() as selector:
        for name in read:
            selector.register(getattr(process, name), selectors.EVENT_READ, name)
        while selector.get_map() and not timed_out and not _full(read, most_bytes):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            timed_out = not ready
            for key, _ in ready:
                data = os.read(key.fd, 16 * 1024)
                read[key.data] += data
                if not data:
                    selector.unregister(key.fileobj)
        cut = _full(read, most_bytes)
        if not (cut or timed_out):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                timed_out = True
        _kill(process)
    out, err = (bytes(data[:most_bytes]).decode("utf-8", "replace") for data in read.values())
    return Outcome(None if cut or timed_out else process.returncode, out, err, cut, timed_out)


def _full(read: Mapping[str, bytearray], most_bytes: int) -> bool:
    return any(len(data) > most_bytes for data in read.values())


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
