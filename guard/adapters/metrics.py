"""What Prometheus is told: names, labels and units of every metric, and the page that it scrapes.

Owns a registry of its own, without the process collectors that the library adds by default. Labels are
bounded: namespace, guard, suite, objective, and words from fixed lists; never a URL, never text of a model or
a user. Refuses to know where the facts come from: gauges are read from the last `State` that was handed in,
so a Guard that is gone is gone from the page, and a guard that does not lead shows no Guard at all.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from guard import __version__
from guard.adapters.budget_metrics import BudgetState, budget_gauges
from guard.core.change import Phase, Reason
from guard.core.verdict import Verdict
from guard.errors import ConfigurationError

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

# From a cached short prompt on an accelerator to the limit at which the suites give a request up.
_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
ROLLBACK_REASONS = ("ObjectiveFailed", "CanaryGone", "InconclusiveAtDeadline", "RequestedByOperator")
WEBHOOK_REASONS = (
    "Unreachable", "Timeout", "Rejected", "ServerError", "InvalidUrl", "SecretNotReadable", "QueueFull",
)  # fmt: skip
OTHER = "Other"


@dataclass(frozen=True)
class SuiteState:
    """One suite on a schedule.

    Attributes:
        verdict: Of the last finished run; None before the first.
        finished_at: When that ended, Unix seconds.
        interval_seconds: The longest time between two runs by plan.
        since: Since when runs are expected, Unix seconds.
    """

    guard: str
    suite: str
    interval_seconds: float
    since: float
    verdict: Verdict | None = None
    finished_at: float | None = None


@dataclass(frozen=True)
class ChangeState:
    """A Change under way. `held`: its step waits for a verdict or an operator longer than planned."""

    guard: str
    phase: Phase
    weight_percent: int
    verdict: Verdict | None
    held: bool


@dataclass(frozen=True)
class State:
    """All that the gauges show, at one moment; `leader` None where there is no daemon."""

    namespace: str = ""
    leader: bool | None = None
    ticked_at: float | None = None
    suites: Sequence[SuiteState] = ()
    changes: Sequence[ChangeState] = ()
    budgets: Sequence[BudgetState] = ()


@dataclass(eq=False)  # a registry's key
class _Gauges(Collector):
    """Turns the last state into gauges, at each scrape."""

    state: State = field(default_factory=State)

    def describe(self) -> Iterable[Metric]:
        return []  # so that registering does not collect

    def collect(self) -> Iterator[Metric]:
        state = self.state
        yield _gauge("tidegate_build_info", "Which Tidegate this is.", ["version"], [([__version__], 1)])
        yield from _daemon(state)
        yield from _suites(state)
        yield from _changes(state)
        yield from (_gauge(*gauge) for gauge in budget_gauges(state.namespace, state.budgets))


class Metrics:
    """One process's metrics. Thread-safe: the library's are, and a state is replaced whole."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, that nobody asks for
        self.registry = CollectorRegistry(auto_describe=False)
        self._gauges = _Gauges()
        self.registry.register(self._gauges)
        suite, guard = ["namespace", "guard", "suite"], ["namespace", "guard"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(name, text, suite, registry=self.registry, buckets=_BUCKETS)

        self._runs = counter("tidegate_suite_runs", "Finished runs of a suite.", [*suite, "verdict"])
        self._ttft = seconds("tidegate_probe_ttft_seconds", "Time to first token of the suites' requests.")
        self._e2e = seconds("tidegate_probe_e2e_seconds", "Time to the last token of the suites' requests.")
        self._changes = counter("tidegate_changes_finished", "Changes that ended.", [*guard, "reason"])
        self._rollbacks = counter("tidegate_rollbacks", "Changes rolled back, by why.", [*guard, "reason"])
        self._webhooks = counter(
            "tidegate_webhook_failures", "Notifications given up, by why.", [*guard, "reason"]
        )

    def show(self, state: State) -> None:
        """What the gauges say from now on."""
        for suite in state.suites:
            self._expect_suite(state.namespace, suite)
        self._gauges.state = state

    def expect_guard(self, namespace: str, guard: str) -> None:
        """A counter must stand at 0 before it rises, or `increase()` does not see its first step."""
        _touch(self._changes, (namespace, guard), [str(reason) for reason in Reason])
        _touch(self._rollbacks, (namespace, guard), [*ROLLBACK_REASONS, OTHER])
        _touch(self._webhooks, (namespace, guard), WEBHOOK_REASONS)

    def suite_ended(
        self,
        namespace: str,
        guard: str,
        suite: str,
        verdict: Verdict,
        ttft_seconds: Iterable[float] = (),
        e2e_seconds: Iterable[float] = (),
    ) -> None:
        self._runs.labels(namespace, guard, suite, str(verdict)).inc()
        for histogram, times in ((self._ttft, ttft_seconds), (self._e2e, e2e_seconds)):
            child = histogram.labels(namespace, guard, suite)
            for time in times:
                child.observe(time)

    def change_ended(self, namespace: str, guard: str, reason: Reason, rollback_reason: str | None) -> None:
        self._changes.labels(namespace, guard, str(reason)).inc()
        if reason is Reason.ROLLED_BACK:
            known = rollback_reason if rollback_reason in ROLLBACK_REASONS else OTHER
            self._rollbacks.labels(namespace, guard, known).inc()

    def webhook_failed(self, namespace: str, guard: str, reason: str) -> None:
        self._webhooks.labels(namespace, guard, reason if reason in WEBHOOK_REASONS else OTHER).inc()

    def _expect_suite(self, namespace: str, suite: SuiteState) -> None:
        _touch(self._runs, (namespace, suite.guard, suite.suite), [str(verdict) for verdict in Verdict])


class MetricsServer:
    """Serves one registry at /metrics until `stop`."""

    def __init__(self, metrics: Metrics, address: str, port: int) -> None:
        """Raises ConfigurationError when the address cannot be bound."""
        try:
            server, thread = start_http_server(port, address, metrics.registry)
        except OSError as error:
            why = error.strerror or error
            raise ConfigurationError(f"--metrics-port {port} on {address}: {why}") from error
        self._server: WSGIServer = server
        self._thread: threading.Thread = thread
        self.url = f"http://{address}:{server.server_port}/metrics"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _touch(counter: Counter, labels: tuple[str, ...], words: Iterable[str]) -> None:
    for word in words:
        counter.labels(*labels, word)


Samples = Iterable[tuple[Sequence[str], float]]


def _gauge(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _daemon(state: State) -> Iterator[Metric]:
    if state.leader is None:
        return
    where, labels = [state.namespace], ["namespace"]
    yield _gauge(
        "tidegate_guard_leader", "1 where this guard holds the Lease.", labels, [(where, float(state.leader))]
    )
    ticks = [] if state.ticked_at is None else [(where, state.ticked_at)]
    yield _gauge(
        "tidegate_guard_last_tick_timestamp_seconds", "When the daemon last went round.", labels, ticks
    )


def _suites(state: State) -> Iterator[Metric]:
    labels = ["namespace", "guard", "suite"]
    rows = [([state.namespace, suite.guard, suite.suite], suite) for suite in state.suites]
    judged = [(key, suite) for key, suite in rows if suite.verdict is not None]
    ended = [(key, suite.finished_at) for key, suite in judged if suite.finished_at is not None]
    yield _states("tidegate_suite_verdict", "Verdict of a suite's last run.", labels, "verdict", Verdict,
                  [(key, suite.verdict) for key, suite in judged])  # fmt: skip
    yield _gauge("tidegate_suite_last_run_timestamp_seconds", "When a suite's last run ended.", labels, ended)
    yield _gauge("tidegate_suite_interval_seconds", "Longest time between two runs, by plan.", labels,
                 [(key, suite.interval_seconds) for key, suite in rows])  # fmt: skip
    yield _gauge("tidegate_suite_expected_since_timestamp_seconds", "Since when runs are expected.", labels,
                 [(key, suite.since) for key, suite in rows])  # fmt: skip


def _changes(state: State) -> Iterator[Metric]:
    labels = ["namespace", "guard"]
    rows = [([state.namespace, change.guard], change) for change in state.changes]
    yield _states("tidegate_change_phase", "Phase of the Change under way.", labels, "phase", Phase,
                  [(key, change.phase) for key, change in rows])  # fmt: skip
    yield _states("tidegate_change_verdict", "Verdict of the Change under way.", labels, "verdict", Verdict,
                  [(key, change.verdict) for key, change in rows if change.verdict is not None])  # fmt: skip
    yield _gauge("tidegate_change_weight_ratio", "The canary's share of the traffic.", labels,
                 [(key, change.weight_percent / 100) for key, change in rows])  # fmt: skip
    yield _gauge("tidegate_change_held", "1 where a step waits for a verdict or an operator.", labels,
                 [(key, float(change.held)) for key, change in rows])  # fmt: skip


def _states(
    name: str,
    text: str,
    labels: Sequence[str],
    label: str,
    words: Iterable[str],
    rows: Iterable[tuple[Sequence[str], str | None]],
) -> Metric:
    """One series for each word: 1 for the one that holds, 0 for the others."""
    known = [str(word) for word in words]
    samples = [([*key, word], float(word == held)) for key, held in rows for word in known]
    return _gauge(name, text, [*labels, label], samples)
