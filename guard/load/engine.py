"""What runs inside the worker: one dispatcher, the requests in flight, and their samples as they end.

Owns who is asked what and when: both arms of a pair get the same request at the same moment, alternating
who goes first. Imports gevent and not locust, so that it can be tried without being monkey-patched.

`dispatch_lag_seconds` is how late this process began a request after it was due, before it connects: it
is the client's own fault, and what follows is the server's.
"""

import json
import time
from collections.abc import Callable, Mapping
from itertools import count

import gevent
import gevent.pool

from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.load.arrivals import schedule
from guard.load.client import Target, stream_chat
from guard.load.plan import LoadPlan
from guard.load.prompts import prompt

_LEAD_SECONDS = 0.05  # from the start of the clock to the first due time
_REFUSED_SECONDS = 0.1  # a user's pause after a refusal: a closed port answers thousands a second


class Engine:
    """One load. `run` blocks its greenlet; `give_up` may be called from another.

    Args:
        targets: Arm to endpoint; the arms of the plan.
        run_id: Stands in each request's id, and so in the server's log.
        on_sample: Called in the request's own greenlet as soon as it has ended. Must not block.
    """

    def __init__(
        self,
        plan: LoadPlan,
        targets: Mapping[Arm, Target],
        model: str,
        *,
        run_id: str,
        worker: str,
        on_sample: Callable[[RequestSample], None],
    ) -> None:
        self._plan = plan
        self._targets = targets
        self._model = model
        self._run_id = run_id
        self._worker = worker
        self._on_sample = on_sample
        self._requests = gevent.pool.Group()
        self._driver: gevent.Greenlet | None = None
        self._given_up = False
        self._broken: Exception | None = None
        self.sent = dict.fromkeys(targets, 0)

    def run(self) -> None:
        """Until every request has ended, or the plan's own timeout gave up on those in flight."""
        for target in self._targets.values():
            target.warm(self._plan.timeouts.connect)
        if self._given_up:
            return
        self._driver = gevent.spawn(self._closed_loop if self._plan.arrivals == "closed" else self._open_loop)
        try:
            with gevent.Timeout(self._plan.limit_seconds, False):
                self._driver.get()  # raises what the dispatcher raised
                self._requests.join()
        finally:
            self.give_up()
        if self._broken is not None:
            raise self._broken

    def give_up(self) -> None:
        """Send nothing more; requests in flight end now, without an outcome."""
        self._given_up = True
        if self._driver is not None:
            self._driver.kill()
        self._requests.kill()

    def _open_loop(self) -> None:
        start = time.monotonic() + _LEAD_SECONDS
        for index, offset in enumerate(schedule(self._plan)):
            if self._broken is not None:
                break
            body = self._body(index)  # before the wait, so that it costs the request nothing
            due = start + offset
            gevent.sleep(max(0.0, due - time.monotonic()))
            for arm in self._order(index):
                self._requests.spawn(self._ask, arm, index, body, due)

    def _closed_loop(self) -> None:
        end = time.monotonic() + self._plan.duration_seconds
        for arm in self._targets:
            numbers = count()
            for _ in range(self._plan.concurrency or 0):
                self._requests.spawn(self._user, arm, numbers, end)

    def _user(self, arm: Arm, numbers: "count[int]", end: float) -> None:
        while time.monotonic() < end and self._broken is None:
            if (index := next(numbers)) >= self._plan.max_requests:
                break
            sample = self._ask(arm, index, self._body(index), None)
            if sample.outcome is Outcome.REFUSED:
                gevent.sleep(_REFUSED_SECONDS)

    def _ask(self, arm: Arm, index: int, body: bytes, due: float | None) -> RequestSample:
        sample = RequestSample(
            f"tidegate-{self._run_id}-{index}-{arm.value}",
            Source.LOAD,
            arm,
            pair_id=str(index),
            worker=self._worker,
            scheduled_at=due,
            dispatch_lag_seconds=None if due is None else max(0.0, time.monotonic() - due),
        )
        self.sent[arm] += 1
        try:
            stream_chat(self._targets[arm], body, sample, self._plan.timeouts)
        except Exception as error:  # a fault of ours: a greenlet would only print it
            self._broken = self._broken or error
        finally:
            self._hand_over(sample)
        return sample

    def _hand_over(self, sample: RequestSample) -> None:
        try:
            self._on_sample(sample)
        except Exception as error:  # a full disk, say
            self._broken = self._broken or error

    def _order(self, index: int) -> list[Arm]:
        arms = list(self._targets)
        return arms if index % 2 == 0 else arms[::-1]

    def _body(self, index: int) -> bytes:
        question = prompt(self._plan.seed, index, self._plan.prompt_words)
        document = {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self._plan.max_tokens,
            "temperature": 0.0,
            "seed": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return json.dumps(document).encode()
