"""One line of a schedule under way: its suites one after another on the stable, in a thread of their own.

Owns what is asked of which pod, and the record of it. Whatever goes wrong here is a line in the log and a
SuiteRun that says so: never a tick that waits, and never silence.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import Object
from guard.api.guard import GuardSpec
from guard.api.suite_run import SuiteRunSpec
from guard.api.suites import EvalSuite, Objective, Suite
from guard.core.evidence import Report
from guard.core.suite_outcome import SuiteOutcome
from guard.core.verdict import Verdict
from guard.daemon.clock import rfc3339
from guard.daemon.record import Render
from guard.daemon.schedule import Ended, Job
from guard.daemon.suite_runs import SuiteRuns
from guard.errors import ConfigurationError, TidegateError

log = logging.getLogger("tidegate.guard")


class Judge(Protocol):
    """Runs one suite to its end, in the caller's thread; see guard.gate.probe."""

    def __call__(
        self,
        endpoint: Endpoint,
        model: str,
        suite: Suite,
        objectives: Sequence[Objective],
        dataset: Path | None,
        folder: OutputFolder,
        stop: threading.Event,
    ) -> tuple[Report, SuiteOutcome]: ...


@dataclass(frozen=True)
class Tools:
    """What a run needs of the world.

    Attributes:
        endpoints: The stable's ready pods, in order; reads the API key, and raises TidegateError.
    """

    runs: SuiteRuns
    judge: Judge
    render: Render
    endpoints: Callable[[GuardSpec], Sequence[Endpoint]]
    read_config_map: Callable[[str], Mapping[str, str]]
    now: Callable[[], float] = time.time


class ScheduledRun:
    """Starts at once; `take` gives what has ended since it was last asked."""

    def __init__(self, job: Job, guard: Object, tools: Tools) -> None:
        self._job, self._guard, self._tools = job, guard, tools
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._why = ""
        self._thread = threading.Thread(target=self._run, name=f"schedule-{job.guard}", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def take(self) -> list[Ended]:
        found = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def stop(self, why: str) -> None:
        """Returns at once; the run ends within some seconds, and says nothing of the target."""
        self._why = self._why or why
        self._stop.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            for suite in self._job.scheduled.suites:
                ended = None if self._stop.is_set() else self._suite(suite)
                if ended is None:
                    continue
                self._ended.put(ended)
                if suite.name == "smoke" and ended.outcome.verdict in (Verdict.FAIL, Verdict.ERROR):
                    break  # as in a gate: the rest would only take minutes to say the same
            self._tools.runs.clear(self._job.guard)
        except TidegateError as error:
            log.warning("schedule of guard %s: %s", self._job.guard, error)
        except Exception:
            log.exception("schedule of guard %s: a fault of Tidegate itself", self._job.guard)

    def _suite(self, suite: Suite) -> Ended | None:
        """What it came to; None where it was ended, or another guard has run it."""
        tools, job = self._tools, self._job
        endpoint, problem = self._endpoint()
        name = tools.runs.begin(self._guard, self._spec(suite, endpoint), tools.now())
        if name is None:
            return None
        folder = tools.runs.folder(name, endpoint.api_key if endpoint else None)
        outcome = self._judged(suite, endpoint, folder) if endpoint else _broken(suite, problem)
        if self._stop.is_set():
            self._finish(name, None, f"ended: {self._why}", folder)
            return None
        self._finish(name, outcome.verdict, outcome.reason, folder)
        log.info("guard %s: scheduled %s: %s: %s", job.guard, suite.name, outcome.verdict, outcome.reason)
        return Ended(job.guard, outcome, tools.now(), name, str(folder.path))

    def _finish(self, name: str, verdict: Verdict | None, message: str, folder: OutputFolder) -> None:
        """A record that cannot be written keeps nobody from being told of the verdict."""
        try:
            self._tools.runs.finish(name, verdict, message, self._tools.now(), folder)
        except TidegateError as error:
            log.warning("suiterun %s: its end could not be written: %s", name, error)

    def _endpoint(self) -> tuple[Endpoint | None, str]:
        """The pod whose turn it is, or why there is none."""
        try:
            endpoints = self._tools.endpoints(self._job.spec)
        except TidegateError as error:
            return None, str(error)
        if not endpoints:
            return None, "there is no ready endpoint to ask"
        return endpoints[self._job.turn % len(endpoints)], ""

    def _spec(self, suite: Suite, endpoint: Endpoint | None) -> SuiteRunSpec:
        return SuiteRunSpec(
            guard=self._job.guard,
            suite=suite,
            workload=self._job.spec.target.stable.workload.name,
            endpoint=endpoint.url if endpoint else None,
            model=self._job.spec.target.runtime.models[0],
            cron=self._job.scheduled.cron,
            scheduled_at=rfc3339(self._job.at) or "",
        )

    def _judged(self, suite: Suite, endpoint: Endpoint, folder: OutputFolder) -> SuiteOutcome:
        spec = self._job.spec
        try:
            dataset = self._dataset(suite, folder)
            report, outcome = self._tools.judge(
                endpoint, spec.target.runtime.models[0], suite, spec.objectives, dataset, folder, self._stop
            )
            for file, content in self._tools.render(report).items():
                folder.write(file, content)
        except TidegateError as error:
            return _broken(suite, str(error))
        except Exception as error:
            log.exception("guard %s: scheduled %s: a fault of Tidegate itself", self._job.guard, suite.name)
            return _broken(suite, f"a fault of Tidegate itself: {type(error).__name__}")
        return outcome

    def _dataset(self, suite: Suite, folder: OutputFolder) -> Path | None:
        """The items of the ConfigMap that the suite names, as a file."""
        if not isinstance(suite, EvalSuite) or suite.dataset is None or suite.dataset.config_map is None:
            return None
        name = suite.dataset.config_map
        files = self._tools.read_config_map(name)
        if len(files) != 1:
            there = ", ".join(sorted(files)) or "none"
            raise ConfigurationError(f"ConfigMap {name}: expected one key with the items, found {there}")
        file = folder.path / "items.jsonl"
        file.write_text(next(iter(files.values())), encoding="utf-8")
        return file


def _broken(suite: Suite, why: str) -> SuiteOutcome:
    """A suite that could not be asked anything: an ERROR, never a PASS by silence."""
    return SuiteOutcome(suite.name, Verdict.ERROR, why)
