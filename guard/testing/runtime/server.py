"""Serves a scripted runtime on a socket, in a thread of this process.

Owns the port, and the faults that close it. `serve` is for tests; `command` for shells.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from guard.testing.runtime.app import ScriptedApp, Sent
from guard.testing.runtime.script import FaultKind, Script
from guard.testing.serving import PromptServer

_POLL_SECONDS = 0.02
_START_SECONDS = 10.0


class ScriptedRuntime:
    """A running scripted runtime.

    Use `ScriptedRuntime.serve(Script(...))` as a context manager; set `script` to change its behaviour
    while it serves.
    """

    def __init__(self, script: Script, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app = ScriptedApp(script)
        self._socket = _listen(host, port)
        config = uvicorn.Config(
            self._app.starlette(), log_config=None, log_level="critical", lifespan="off", ws="none"
        )
        config.timeout_graceful_shutdown = 0
        self._server = PromptServer(config)
        self._thread = threading.Thread(target=self._run, daemon=True, name="scripted-runtime")
        self._faults = threading.Thread(target=self._watch_faults, daemon=True, name="scripted-faults")
        self._ended = threading.Event()
        self.url = "http://{}:{}".format(*self._socket.getsockname()[:2])

    @classmethod
    @contextlib.contextmanager
    def serve(
        cls, script: Script | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> Iterator["ScriptedRuntime"]:
        """Serving until the block ends; port 0 takes a free one."""
        runtime = cls(script or Script(), host, port)
        runtime.start()
        try:
            yield runtime
        finally:
            runtime.stop()

    @property
    def script(self) -> Script:
        return self._app.script

    @script.setter
    def script(self, script: Script) -> None:
        self._app.script = script

    @property
    def sent(self) -> list[Sent]:
        """Every completion asked for so far, in order, with the exact times at which tokens were sent."""
        return self._app.sent

    def start(self) -> None:
        """Returns when the server answers; faults count from here."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the scripted runtime did not start")
            time.sleep(0.005)
        self._app.started_at = time.monotonic()
        self._faults.start()

    def stop(self) -> None:
        """Cut everything and wait until the threads are gone."""
        self._ended.set()
        self._faults.join(_START_SECONDS)  # first: it works on the server's loop
        self._server.leave(cut=True)
        self._thread.join(_START_SECONDS)
        self._socket.close()

    def end(self) -> None:
        """Let `wait` return; not for a signal handler, which may interrupt `wait` itself."""
        self._ended.set()

    def wait(self) -> None:
        """Until it was stopped, or died of its script."""
        self._ended.wait()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _watch_faults(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            if self._app.faulty(FaultKind.DIE):
                self._server.leave(cut=True)
                self._thread.join(_START_SECONDS)
                self._ended.set()
            elif self._app.faulty(FaultKind.REFUSE):
                self._close_port()

    def _close_port(self) -> None:
        for server in self._server.servers:
            server.get_loop().call_soon_threadsafe(server.close)


def _listen(host: str, port: int) -> socket.socket:
    # Bound here and now, so that a taken port is refused before anything starts; uvicorn listens on it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
