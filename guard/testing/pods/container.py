"""One container's life: start, probe, restart with backoff, end; and its containerStatus.

Knows no pod: what to start comes from `launch`, and every change is told by `changed`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from guard.adapters.kubernetes.client import Object
from guard.testing.pods.objects import timestamp
from guard.testing.pods.probes import Probe, watch
from guard.testing.pods.process import Exit, Process

MAX_BACKOFF_SECONDS = 300.0
RETRY_SECONDS = 1.0  # the kubelet's sync of a container that cannot be made


class CannotStart(Exception):
    """A container is not started: `reason` as in a waiting state, and a message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Launch:
    """All that one start needs.

    Attributes:
        start: Starts the process; raises OSError.
        probes: By `startup`, `readiness`, `liveness`.
        grace_seconds: For a container that its own probe ends.
    """

    image_id: str
    start: Callable[[], Process]
    probes: Mapping[str, Probe] = field(default_factory=dict)
    grace_seconds: float = 30.0


class Container:
    """Runs in the thread that calls `run`; `end` and `status` may be called from any other.

    Args:
        launch: Called for every start; raises CannotStart.
        restart: `Always`, `OnFailure` or `Never`.
        backoff_seconds: Before the second restart; doubles. The first comes at once, as a kubelet's does.
        changed: Told after each change of status, without locks held.
    """

    def __init__(
        self,
        name: str,
        image: str,
        launch: Callable[[], Launch],
        restart: str,
        backoff_seconds: float,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self._image = image
        self._launch = launch
        self._restart = restart
        self._backoff = backoff_seconds
        self._changed = changed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._process: Process | None = None
        self._state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self._last_state: Object = {}
        self._image_id = ""
        self._started = self._ready = self.finished = False
        self._starts = 0
        self.exit: Exit | None = None

    def run(self) -> None:
        """Start and restart until the policy says that it is over, or until `end`."""
        refusals = 0
        while not self._stop.is_set():
            try:
                self._run_once(self._launch())
            except CannotStart as refusal:
                refusals += 1
                self._refuse(refusal, refusals)
                continue
            if not self._restarts():
                break
            self._back_off()
        self.finished = True
        self._changed()

    def end(self, grace_seconds: float) -> None:
        """No more starts; the process gets SIGTERM, SIGKILL after the grace. Returns when it has ended."""
        with self._lock:
            self._stop.set()
            process = self._process
        if process is not None:
            process.end(grace_seconds)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        process = self._process
        return process.pid if process else None

    def status(self) -> Object:
        """As in `status.containerStatuses`."""
        with self._lock:
            return {
                "name": self.name,
                "image": self._image,
                "imageID": self._image_id,
                "ready": self._ready,
                "started": self._started,
                "restartCount": max(0, self._starts - 1),
                "state": self._state,
                "lastState": self._last_state,
            }

    def _run_once(self, launch: Launch) -> None:
        began = time.time()
        with self._lock:
            if self._stop.is_set():
                return
            process = self._start(launch)
            self._starts += 1
            self._image_id = launch.image_id
            self._enter({"running": {"startedAt": timestamp(began)}})
            self._started = "startup" not in launch.probes
            self._ready = self._started and "readiness" not in launch.probes
        self._changed()
        over = threading.Event()
        threading.Thread(target=self._probe, args=(launch, process, over), daemon=True).start()
        result = process.wait()
        over.set()
        with self._lock:
            self._process, self.exit = None, result
            self._started = self._ready = False
            self._state = {"terminated": _terminated(result, began, process.pid)}
        self._changed()

    def _start(self, launch: Launch) -> Process:
        try:
            self._process = launch.start()
        except OSError as error:
            raise CannotStart("RunContainerError", str(error)) from error
        return self._process

    def _probe(self, launch: Launch, process: Process, over: threading.Event) -> None:
        """Startup first; then liveness in a thread of its own, and readiness here."""

        def fatal(healthy: bool, why: str) -> bool:
            if not healthy:
                process.end(launch.grace_seconds)
            return healthy

        def started(healthy: bool, why: str) -> bool:
            if healthy:
                self._set(over, started=True, ready="readiness" not in launch.probes)
                return False
            return fatal(healthy, why)

        if startup := launch.probes.get("startup"):
            watch(startup, over, started)
        if over.is_set() or not self._started:
            return
        if liveness := launch.probes.get("liveness"):
            threading.Thread(target=watch, args=(liveness, over, fatal), daemon=True).start()
        if readiness := launch.probes.get("readiness"):
            watch(readiness, over, lambda healthy, why: self._set(over, started=True, ready=healthy))

    def _set(self, over: threading.Event, started: bool, ready: bool) -> bool:
        with self._lock:
            if over.is_set():
                return False
            self._started, self._ready = started, ready
        self._changed()
        return True

    def _restarts(self) -> bool:
        if self._stop.is_set() or self._restart == "Never":
            return False
        return self._restart == "Always" or self.exit is None or self.exit.code != 0

    def _refuse(self, refusal: CannotStart, times: int) -> None:
        """Wait before the next try to start; an image is asked for ever more rarely."""
        pulling = refusal.reason == "ErrImagePull"
        reason = "ImagePullBackOff" if pulling and times > 1 else refusal.reason
        self._wait(reason, str(refusal))
        pause = min(self._backoff * 2 ** (times - 1), MAX_BACKOFF_SECONDS) if pulling else RETRY_SECONDS
        self._stop.wait(pause)

    def _back_off(self) -> None:
        if self._starts > 1:
            pause = min(self._backoff * 2 ** (self._starts - 2), MAX_BACKOFF_SECONDS)
            self._wait("CrashLoopBackOff", f"back-off {pause:g}s restarting failed container={self.name}")
            self._stop.wait(pause)

    def _wait(self, reason: str, message: str) -> None:
        with self._lock:
            self._enter({"waiting": {"reason": reason, "message": message}})
        self._changed()

    def _enter(self, state: Object) -> None:
        if "terminated" in self._state:
            self._last_state = self._state
        self._state = state


def _terminated(result: Exit, began: float, pid: int) -> Object:
    ended = {
        "exitCode": result.code,
        "reason": result.reason,
        "startedAt": timestamp(began),
        "finishedAt": timestamp(time.time()),
        "containerID": f"local://{pid}",
    }
    return ended | ({"signal": result.signal} if result.signal else {})
