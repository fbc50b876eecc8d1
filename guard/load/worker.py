"""`python -m guard.load.worker`: the process that measures. One job on stdin, progress lines on stdout.

The only module that imports locust, which monkey-patches the process; import it from nowhere. Locust's
environment, runner and request event are used (so its exporters see every request); its rounded statistics
are not the result: that is the samples' file.

It ends by itself: when the load is over, when stdin closes (the parent is gone, or has had enough), and by
SIGALRM at the latest.
"""

# isort: off
import locust  # first: it monkey-patches what the others import
from locust.env import Environment

# isort: on
import gc
import json
import math
import signal
import sys
import time
from collections import defaultdict, deque
from dataclasses import asdict
from statistics import median
from typing import Any

import gevent
import gevent.event
import gevent.socket

from guard.core.samples import Arm, Outcome, RequestSample
from guard.load.client import Target
from guard.load.engine import Engine
from guard.load.plan import START_SECONDS
from guard.load.wire import Clock, Job, SampleWriter

_PROGRESS_SECONDS = 0.5
_RECENT = 50  # requests behind the median that the progress shows
_MESSAGES = sys.stdout


class _LoadDriver(locust.User):
    """The one Locust user: it is the load's dispatcher, in open and closed loop alike."""

    abstract = True
    engine: Engine
    ended: gevent.event.AsyncResult

    @locust.task
    def drive(self) -> None:
        try:
            self.engine.run()
            self.ended.set(None)
        except Exception as error:
            self.ended.set_exception(error, sys.exc_info())
        raise locust.exception.StopUser


class _Progress:
    """Counts what ended; writes a line now and then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started_at = time.monotonic()
        self._finished: dict[Arm, int] = defaultdict(int)
        self._failed: dict[Arm, int] = defaultdict(int)
        self._recent: dict[Arm, deque[float]] = defaultdict(lambda: deque(maxlen=_RECENT))

    def note(self, sample: RequestSample) -> None:
        self._finished[sample.arm] += 1
        self._failed[sample.arm] += sample.outcome is not Outcome.OK
        if (ttft := sample.ttft_seconds) is not None:
            self._recent[sample.arm].append(ttft)

    def line(self) -> dict[str, Any]:
        arms = {
            arm.value: {
                "sent": sent,
                "finished": self._finished[arm],
                "failed": self._failed[arm],
                "ttft_seconds_p50": median(self._recent[arm]) if self._recent[arm] else None,
            }
            for arm, sent in self._engine.sent.items()
        }
        return {"elapsed_seconds": time.monotonic() - self._started_at, "arms": arms}

    def report(self) -> None:
        while True:
            gevent.sleep(_PROGRESS_SECONDS)
            _tell(progress=self.line())


def main() -> None:
    """Run the job on stdin."""
    sys.stdout = sys.stderr  # nobody's print may get among the messages
    job = Job.from_line(sys.stdin.readline())
    signal.alarm(math.ceil(job.plan.limit_seconds + START_SECONDS))
    clock = Clock.read()
    _tell(clock=asdict(clock))
    writer = SampleWriter(job.samples_file)
    environment = Environment(user_classes=[_LoadDriver], catch_exceptions=False)

    def ended(sample: RequestSample) -> None:
        writer.write(sample)
        progress.note(sample)
        _fire(environment, sample)

    targets = {arm: Target(url, job.api_key, job.ca_file) for arm, url in job.urls.items()}
    engine = Engine(job.plan, targets, job.model, run_id=job.run_id, worker=job.worker, on_sample=ended)
    progress = _Progress(engine)
    helpers = [gevent.spawn(progress.report), gevent.spawn(_watch_parent, engine)]
    try:
        _run(environment, engine)
    finally:
        gevent.killall(helpers)
        writer.close()
    _tell(progress=progress.line())
    _tell(clock=asdict(clock.widened(Clock.read())), ended=True)


def _run(environment: Environment, engine: Engine) -> None:
    _LoadDriver.abstract = False
    _LoadDriver.engine, _LoadDriver.ended = engine, gevent.event.AsyncResult()
    runner = environment.create_local_runner()
    gc.collect()
    gc.freeze()  # what was imported is not looked through again while requests are timed
    runner.start(1, spawn_rate=1)
    try:
        _LoadDriver.ended.get()
    finally:
        runner.quit()


def _watch_parent(engine: Engine) -> None:
    gevent.socket.wait_read(sys.stdin.fileno())  # nothing more is ever written: readable means closed
    engine.give_up()


def _fire(environment: Environment, sample: RequestSample) -> None:
    error = None if sample.outcome is Outcome.OK else RuntimeError(str(sample.outcome))
    environment.events.request.fire(  # type: ignore[no-untyped-call]
        request_type="POST",
        name=sample.arm.value,
        response_time=1000 * (sample.e2e_seconds or 0.0),
        response_length=sample.output_tokens or 0,
        exception=error,
        context={},
    )


def _tell(**message: Any) -> None:
    _MESSAGES.write(json.dumps(message) + "\n")
    _MESSAGES.flush()


if __name__ == "__main__":
    main()
