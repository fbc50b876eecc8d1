"""Which suites of a Change run at which stage, against which pods, and what came of them.

Owns choosing candidate and baseline of a stage, and the list of all results. Refuses to know phases.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from guard.adapters.endpoint import Endpoint
from guard.api.suites import Suite
from guard.core.check import SuiteResult
from guard.core.samples import Arm
from guard.daemon.clock import Clock
from guard.daemon.observe import Observation
from guard.daemon.stage import Process, Stage
from guard.errors import TidegateError

StartSuite = Callable[[str, Suite, Endpoint, Endpoint | None], Process]
"""(stage, suite, candidate, baseline) -> the suite under way."""


class Stages:
    """One Change's suites; at most one stage at a time.

    Attributes:
        results: (stage, result) of every suite that ended, in order.
        done_at: Unix seconds at which the current stage was found done; None while it runs.
    """

    def __init__(self, port: int, api_key: str | None, start: StartSuite, clock: Clock | None = None) -> None:
        self.results: list[tuple[str, SuiteResult]] = []
        self.done_at: float | None = None
        self._port = port
        self._api_key = api_key
        self._start = start
        self._clock = clock or Clock()
        self._name = ""
        self._stage = Stage((), lambda suite: _Broken(suite, "not started"))

    @property
    def done(self) -> bool:
        return self._stage.done

    @property
    def current(self) -> list[SuiteResult]:
        """Results of the current stage so far."""
        return self._stage.results

    def compare(self, name: str, suites: Sequence[Suite], seen: Observation) -> None:
        """Begins a stage: the canary's first pod against the stable's."""
        found = seen.endpoints(self._port, self._api_key)
        canary = next(iter(found[Arm.CANARY]), None)
        self._begin(name, suites, canary, next(iter(found[Arm.BASELINE]), None))

    def verify_stable(self, name: str, suites: Sequence[Suite], seen: Observation) -> None:
        """Begins a stage in which the stable is what must be healthy: the candidate of its own suites."""
        stable = next(iter(seen.endpoints(self._port, self._api_key)[Arm.BASELINE]), None)
        self._begin(name, suites, replace(stable, arm=Arm.CANARY) if stable else None, None)

    def poll(self) -> tuple[str, SuiteResult] | None:
        """A result that has just arrived, with its stage."""
        result = self._stage.poll()
        if self.done and self.done_at is None:
            self.done_at = self._clock.unix()
        if result is None:
            return None
        self.results.append((self._name, result))
        return self._name, result

    def kill(self) -> None:
        self._stage.kill()

    def _begin(
        self, name: str, suites: Sequence[Suite], candidate: Endpoint | None, baseline: Endpoint | None
    ) -> None:
        self.kill()
        self._name, self.done_at = name, None
        self._stage = Stage(suites, lambda suite: self._started(name, suite, candidate, baseline))

    def _started(
        self, name: str, suite: Suite, candidate: Endpoint | None, baseline: Endpoint | None
    ) -> Process:
        """The suite under way; one that cannot be started is an ERROR, and never stops a tick."""
        if candidate is None:
            return _Broken(suite, "there is no ready endpoint to ask")
        try:
            return self._start(name, suite, candidate, baseline)
        except TidegateError as error:
            return _Broken(suite, str(error))


class _Broken:
    """A suite that could not be asked anything: an ERROR, never a PASS by silence."""

    def __init__(self, suite: Suite, error: str) -> None:
        now = time.time()
        self._result = SuiteResult(suite.name, (), now, now, "", error=error)

    def poll(self) -> SuiteResult:
        return self._result

    def kill(self) -> None:
        pass
