"""What the daemon does beside Changes: scheduled suites, error budgets, metrics, notifications.

Owns when each of them gets its turn, and which Guards can be read. Nothing here decides about traffic, waits,
or raises: a fault of this part is a line in the log, and Changes go on.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import KubernetesClient, Object
from guard.adapters.metrics import ChangeState, Metrics, State, SuiteState
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.change import Phase
from guard.core.notification import Notification, ProbeFacts, Signal
from guard.core.verdict import Verdict
from guard.daemon.change_run import ChangeRun
from guard.daemon.clock import rfc3339
from guard.daemon.error_budgets import BURNING, BudgetNews, ErrorBudgets
from guard.daemon.news import News, held
from guard.daemon.notify import Notifier
from guard.daemon.observe import Namespace
from guard.daemon.record import Render
from guard.daemon.schedule import Ended
from guard.daemon.scheduled_run import Judge
from guard.daemon.scheduled_suites import ScheduledSuites
from guard.errors import ConfigurationError

SETTLE_SECONDS = 2.0  # of a pod's grace; what a webhook has not taken by then is lost
_PROBE_EVENTS = {Verdict.FAIL: "ProbeFailed", Verdict.PASS: "ProbeRecovered"}

log = logging.getLogger("tidegate.guard")


class Upkeep:
    """Give it `round` before each round of the daemon, and `change` after each Change's tick."""

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        artifacts: Path,
        judge: Judge,
        render: Render,
        metrics: Metrics | None = None,
        environment: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._now = namespace, now
        self._metrics = metrics or Metrics()
        self._environment = environment
        self._suites = ScheduledSuites(client, namespace, artifacts, judge, render, now)
        self._budgets = ErrorBudgets(namespace, artifacts)
        self._notifier = Notifier(client, namespace, self._metrics)
        self._news = News(namespace, environment, now())
        self._guards: dict[str, tuple[Object, GuardSpec]] = {}
        self._changes: dict[str, tuple[str, ChangeState]] = {}  # by the Change's name, with its uid

    def change(self, run: ChangeRun, change: Object) -> None:
        """A Change has had its tick; once it is finished, its end is saved already."""
        with _no_harm("telling of a Change"):
            progress, name = run.progress, change["metadata"]["name"]
            state = ChangeState(
                run.guard_name, progress.phase, progress.weight_percent, progress.verdict, held(progress)
            )
            self._changes[name] = (change["metadata"]["uid"], state)
            if progress.ended is not None:
                decision = progress.decision.reason if progress.decision else None
                self._metrics.change_ended(self._name, run.guard_name, progress.ended, decision)
            for notification in self._news.of(run, change, self._now()):
                self._tell(notification)

    def round(self, namespace: Namespace, leads: bool, running: Collection[str]) -> None:
        """The daemon goes round. `running`: names of the Changes that it has under way."""
        with _no_harm("upkeep"):
            now = self._now()
            self._guards = dict(self._read_guards(namespace.guards)) if leads else {}
            self._changes = {name: known for name, known in self._changes.items() if name in running}
            self._news.forget({uid for uid, _ in self._changes.values()})
            if leads:
                wanted = {name: spec.notify for name, (_, spec) in self._guards.items()}
                self._notifier.keep(wanted, {guard["metadata"]["name"] for guard in namespace.guards})
                self._tick_suites(namespace, now)
            else:
                self._suites.drop()
                self._budgets.drop()
            suites = tuple(self._suites.states(now))
            with _no_harm("error budgets"):
                self._judge_budgets(suites, now)
            self._show(leads, suites, now)

    def conditions(self, guard: Object) -> list[Mapping[str, Any]]:
        """What belongs beside `Accepted` in a Guard's conditions."""
        with _no_harm("the condition of a Guard"):
            now = self._now()
            found = (self._notifier.condition(guard, now), self._budgets.condition(guard, now))
            return [condition for condition in found if condition]
        return []

    def stop(self) -> None:
        """Ends scheduled suites and waits for their processes; lets messages under way arrive."""
        with _no_harm("stopping"):
            self._suites.stop()
            self._notifier.settle(SETTLE_SECONDS)

    def _read_guards(self, guards: Sequence[Object]) -> Iterator[tuple[str, tuple[Object, GuardSpec]]]:
        """Guards that can be read; parsed again only when they have changed."""
        for guard in guards:
            name = guard["metadata"]["name"]
            known = self._guards.get(name)
            if known and known[0]["metadata"]["resourceVersion"] == guard["metadata"]["resourceVersion"]:
                yield name, known
                continue
            try:
                yield name, (guard, parse(GuardSpec, guard["spec"], f"Guard {name}: spec"))
            except ConfigurationError:
                continue  # its condition Accepted says so
            self._metrics.expect_guard(self._name, name)

    def _tick_suites(self, namespace: Namespace, now: float) -> None:
        for ended, is_news in self._suites.tick(self._guards, namespace, now):
            outcome = ended.outcome
            self._metrics.suite_ended(
                self._name,
                ended.guard,
                outcome.suite,
                outcome.verdict,
                outcome.ttft_seconds,
                outcome.e2e_seconds,
            )
            if ended.guard in self._guards:
                self._budgets.take(self._guards[ended.guard][0], outcome.counted, ended.at)
            if is_news:
                self._tell(self._of_probe(_PROBE_EVENTS.get(outcome.verdict, "ProbeError"), ended))

    def _judge_budgets(self, suites: Sequence[SuiteState], now: float) -> None:
        gaps: dict[str, dict[str, float]] = {}
        for suite in suites:
            gaps.setdefault(suite.guard, {})[suite.suite] = suite.interval_seconds
        for news in self._budgets.judge(self._guards, gaps, now):
            self._tell(self._of_budget(news))

    def _of_budget(self, news: BudgetNews) -> Notification:
        at = rfc3339(news.at) or ""
        return Notification(
            event=news.event,
            at=at,
            namespace=self._name,
            guard=news.guard,
            summary=news.summary,
            command=f"kubectl describe -n {self._name} guard/{news.guard}",
            key=f"{news.check.signal} {at}",
            verdict=Verdict.FAIL if news.event == BURNING else Verdict.PASS,
            environment=self._environment,
            signal=Signal.of(news.check),
        )

    def _of_probe(self, event: str, ended: Ended) -> Notification:
        outcome = ended.outcome
        return Notification(
            event=event,
            at=rfc3339(ended.at) or "",
            namespace=self._name,
            guard=ended.guard,
            summary=f"{outcome.suite} on the stable: {outcome.verdict}: {outcome.reason}",
            command=f"kubectl describe -n {self._name} suiterun/{ended.suite_run}",
            key=ended.suite_run,
            verdict=outcome.verdict,
            environment=self._environment,
            probe=ProbeFacts(outcome.suite, ended.suite_run),
            signal=Signal.of(outcome.deciding) if outcome.deciding else None,
            evidence=ended.evidence,
        )

    def _tell(self, notification: Notification) -> None:
        if notification.guard in self._guards:
            self._notifier.tell(self._guards[notification.guard][1].notify, notification)

    def _show(self, leads: bool, suites: tuple[SuiteState, ...], now: float) -> None:
        changes = tuple(state for _, state in self._changes.values() if state.phase is not Phase.FINISHED)
        self._metrics.show(State(self._name, leads, now, suites, changes, tuple(self._budgets.states())))


@contextmanager
def _no_harm(what: str) -> Iterator[None]:
    """A fault in here must not keep the daemon from judging."""
    try:
        yield
    except Exception:
        log.exception("%s: a fault of Tidegate itself", what)
