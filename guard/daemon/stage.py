"""The suites of one stage (before traffic, on a step, after a rollback), one after another.

Owns the order and the suite under way. Refuses to judge: a suite's own result has its verdict.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from guard.api.suites import Suite
from guard.core.check import SuiteResult
from guard.core.verdict import Verdict


class Process(Protocol):
    """A suite under way; see guard.adapters.suite_runner."""

    def poll(self) -> SuiteResult | None: ...
    def kill(self) -> None: ...


class Stage:
    """Runs suites in order; stops early at the first FAIL, which nothing later can mend."""

    def __init__(self, suites: Sequence[Suite], start: Callable[[Suite], Process]) -> None:
        self.results: list[SuiteResult] = []
        self._waiting = list(suites)
        self._start = start
        self._running: Process | None = None

    @property
    def done(self) -> bool:
        return self._running is None and not self._waiting

    def poll(self) -> SuiteResult | None:
        """A result that has just arrived, if any; starts the next suite."""
        if self._running is not None:
            result = self._running.poll()
            if result is None:
                return None
            self._running = None
            self._waiting.pop(0)
            self.results.append(result)
            if result.verdict is Verdict.FAIL:
                self._waiting.clear()
            return result
        if self._waiting:
            self._running = self._start(self._waiting[0])
        return None

    def kill(self) -> None:
        """Ends the suite under way; nothing of this stage runs afterwards."""
        if self._running is not None:
            self._running.kill()
        self._running = None
        self._waiting.clear()
