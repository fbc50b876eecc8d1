"""Starts the process that measures, follows it, bounds it, and gives its samples back.

The parent's side of the load: what gate, suites and the command line call. Owns the worker's life (it is
killed with its group when it outlives its bound, and ends when we do) and never imports locust. Judges
nothing: endpoints that refuse every request make samples that say so.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from guard.adapters.endpoint import Endpoint
from guard.core.samples import Arm, RequestSample
from guard.core.text import one_line
from guard.load.plan import START_SECONDS, LoadPlan
from guard.load.wire import Job, read_samples

_END_SECONDS = 2.0  # a worker that was told to end has so long to write what is in flight


@dataclass(frozen=True)
class ArmProgress:
    """One arm so far. The median is over its most recent requests; None before the first token."""

    sent: int
    finished: int
    failed: int
    ttft_seconds_p50: float | None


@dataclass(frozen=True)
class Progress:
    """What a running load has done, about twice a second."""

    elapsed_seconds: float
    arms: Mapping[Arm, ArmProgress]


@dataclass(frozen=True)
class LoadResult:
    """What was measured.

    Attributes:
        samples: Every request that was begun, in the order of their ends; outcome None: given up in flight.
        metadata: For requests.parquet: the clock, each worker's Unix offset and its uncertainty, the plan.
        error: Set when the worker broke; the samples are then what it had by that time.
    """

    samples: list[RequestSample]
    metadata: dict[str, Any]
    error: str | None = None

    def arm(self, arm: Arm) -> list[RequestSample]:
        return [sample for sample in self.samples if sample.arm is arm]


class LoadInterrupted(KeyboardInterrupt):
    """Ctrl-C while the load ran; `result` is what was measured until then."""

    def __init__(self, result: LoadResult) -> None:
        super().__init__()
        self.result = result


def run_load(
    plan: LoadPlan,
    *,
    candidate: str,
    baseline: str | None = None,
    model: str,
    api_key: str | None = None,
    ca_file: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> LoadResult:
    """Load one arm or both, at the same moments with the same requests, and wait for the end.

    Args:
        candidate, baseline: Base URLs, with or without /v1.
        on_progress: Called in this thread, about twice a second.
    Raises:
        ConfigurationError: A URL or the CA file cannot be used.
        LoadInterrupted: Ctrl-C; it carries the result so far.
    """
    urls = {Arm.CANARY: Endpoint.parse(candidate, ca_file=ca_file).url}
    if baseline is not None:
        urls[Arm.BASELINE] = Endpoint.parse(baseline, ca_file=ca_file).url
    with tempfile.TemporaryDirectory(prefix="tidegate-load-") as folder:
        samples_file = Path(folder) / "samples.jsonl"
        job = Job(plan, urls, model, str(samples_file), uuid.uuid4().hex[:8], "w0", api_key, ca_file)
        with (Path(folder) / "stderr").open("w+") as stderr:
            worker = _Worker(job, stderr, on_progress or (lambda _: None))
            try:
                error = worker.follow()
            except KeyboardInterrupt:
                worker.end()
                raise LoadInterrupted(_result(job, samples_file, worker.clock, None)) from None
            finally:
                worker.end()
        return _result(job, samples_file, worker.clock, error)


def _result(job: Job, file: Path, clock: Mapping[str, float] | None, error: str | None) -> LoadResult:
    metadata = {
        "clock": "CLOCK_MONOTONIC",
        "workers": {} if clock is None else {job.worker: dict(clock)},
        "run_id": job.run_id,
        "plan": job.plan.to_json(),
        "model": job.model,
        "urls": {arm.value: url for arm, url in job.urls.items()},
    }
    return LoadResult(list(read_samples(file)), metadata, error)


class _Worker:
    """The running process."""

    def __init__(self, job: Job, stderr: IO[str], on_progress: Callable[[Progress], None]) -> None:
        self.clock: Mapping[str, float] | None = None
        self._ended = False
        self._stderr = stderr
        self._on_progress = on_progress
        self._bound = job.plan.limit_seconds + START_SECONDS
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "guard.load.worker"],  # -P: never import from the working folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # a Ctrl-C in our terminal reaches it through us, once
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job.to_line())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once; `follow` says of what

    def follow(self) -> str | None:
        """Until the worker has ended. Returns why it broke, or None."""
        lines: Queue[str | None] = Queue()
        Thread(target=self._read, args=(lines,), daemon=True).start()
        deadline = time.monotonic() + self._bound
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return f"the load worker did not end within {self._bound:g} s"
            if line is None:
                break
            self._take(json.loads(line))
        if self._ended:
            return None
        self.end()
        return f"the load worker ended with code {self._process.returncode}: {self._last_words()}"

    def end(self) -> None:
        """Close its stdin, which ends it; kill its group when that does not help."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _read(self, lines: "Queue[str | None]") -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                lines.put(line)
        lines.put(None)

    def _take(self, message: Mapping[str, Any]) -> None:
        self.clock = message.get("clock", self.clock)
        self._ended = self._ended or bool(message.get("ended"))
        if (progress := message.get("progress")) is not None:
            arms = {Arm(arm): ArmProgress(**counts) for arm, counts in progress["arms"].items()}
            self._on_progress(Progress(progress["elapsed_seconds"], arms))

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().split("\n")
        return one_line(next((line for line in reversed(lines) if line.strip()), "it said nothing"))
