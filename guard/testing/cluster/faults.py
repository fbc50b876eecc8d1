"""What a test does to the API server: make it fail, hang, drop connections or be unreachable, and read
afterwards what it was asked.
"""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from guard.testing.cluster.requests import Call

RECORDED_REQUESTS = 20_000  # arbitrary bound; a demo of ten minutes makes fewer

FaultKind = Literal["error", "drop", "hang", "lose_answer"]


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it came in, and the status it got (0 while it runs, or when it got none)."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    user_agent: str
    body: bytes
    at: float
    code: int = 0

    @property
    def writes(self) -> bool:
        """Could have changed something: neither a read nor a dry run."""
        return self.method not in ("GET", "HEAD", "OPTIONS") and self.query.get("dryRun") != "All"

    def document(self) -> Any:
        """The body as data; None where there is none."""
        if "json" in self.content_type:
            return json.loads(self.body) if self.body else None
        return yaml.safe_load(self.body) if self.body else None


@dataclass
class Fault:
    """What happens to matching requests: `error` answers `code`, `drop` closes the connection, `hang`
    never answers, `lose_answer` does what was asked and closes the connection without saying so."""

    kind: FaultKind
    times: int
    code: int = 500
    method: str = ""
    path: str = ""

    def matches(self, call: Call) -> bool:
        return self.times > 0 and self.method in ("", call.method) and self.path in call.path


class Recorder:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[RecordedRequest] = deque(maxlen=RECORDED_REQUESTS)

    def add(self, call: Call, code: int) -> None:
        agent = call.headers.get("user-agent", "")
        entry = (
            call.method,
            call.path,
            dict(call.query),
            call.content_type,
            agent,
            call.body,
            time.time(),
            code,
        )
        self._entries.append(RecordedRequest(*entry))

    def all(self) -> list[RecordedRequest]:
        return list(self._entries)

    def clear(self) -> None:
        self._entries.clear()


class Faults:
    """Thread-safe: tests set faults in their thread, the server's loop meets them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._paused = False
        self._resumed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self) -> None:
        """Belong to the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._resumed = asyncio.Event()
        if not self._paused:
            self._resumed.set()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, call: Call) -> Fault | None:
        """The fault that this request meets, counted."""
        with self._lock:
            fault = next((item for item in self._faults if item.matches(call)), None)
            if fault is not None:
                fault.times -= 1
            return fault

    async def running(self) -> None:
        """Wait while the server is paused."""
        if self._resumed is not None:
            await self._resumed.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._set_paused(True)
        try:
            yield
        finally:
            self._set_paused(False)

    def resume(self) -> None:
        """End any pause; call it from the loop."""
        self._paused = False
        if self._resumed is not None:
            self._resumed.set()

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        if self._loop is not None and self._resumed is not None:
            self._loop.call_soon_threadsafe(self._resumed.clear if paused else self._resumed.set)
