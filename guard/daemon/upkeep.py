"""What the daemon does beside Changes: scheduled suites, metrics, notifications.

Owns when each of them gets its turn. Nothing here decides about traffic, waits, or raises: a fault of this
part is a line in the log, and Changes go on.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import CONFIG_MAPS, KubernetesClient, Object
from guard.adapters.kubernetes.secrets import read_secret
from guard.adapters.metrics import ChangeState, Metrics, State, SuiteState
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.change import Phase
from guard.core.notification import Notification, ProbeFacts, Signal
from guard.core.samples import Arm
from guard.core.text import one_line
from guard.core.verdict import Verdict
from guard.daemon.change_run import ChangeRun
from guard.daemon.news import News, held
from guard.daemon.notify import Notifier
from guard.daemon.observe import Namespace
from guard.daemon.progress import rfc3339
from guard.daemon.record import Render
from guard.daemon.schedule import Ended, Job, Last, Schedule
from guard.daemon.scheduled_run import Judge, ScheduledRun, Tools
from guard.daemon.suite_runs import SuiteRuns, status_of
from guard.errors import ConfigurationError, TidegateError

RETRY_SECONDS = 10.0
SETTLE_SECONDS = 2.0  # of a pod's grace; what a webhook has not taken by then is lost
END_SECONDS = 7.0  # a suite that is ended writes what it has, for five seconds at most
_PROBE_EVENTS = {Verdict.FAIL: "ProbeFailed", Verdict.PASS: "ProbeRecovered"}

log = logging.getLogger("tidegate.guard")


@dataclass(frozen=True)
class _Known:
    """The last result of a suite, whoever ran it."""

    verdict: Verdict
    finished_at: float


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
        self._client, self._name, self._now = client, namespace, now
        self._metrics = metrics or Metrics()
        self._environment = environment
        self._runs = SuiteRuns(client, namespace, artifacts)
        self._judge, self._render = judge, render
        self._schedule = Schedule(self._start)
        self._notifier = Notifier(client, namespace, self._metrics)
        self._news = News(namespace, environment, now())
        self._namespace: Namespace | None = None
        self._guards: dict[str, tuple[Object, GuardSpec]] = {}
        self._changes: dict[str, tuple[str, ChangeState]] = {}  # by the Change's name, with its uid
        self._results: dict[tuple[str, str], _Known] = {}
        self._told: dict[tuple[str, str], Verdict] = {}  # a verdict is told when it is another than before
        self._loading: threading.Thread | None = None
        self._loaded: list[Object] | None = None
        self._started: list[ScheduledRun] = []

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
            self._namespace = namespace
            self._guards = dict(self._read_guards(namespace.guards)) if leads else {}
            self._changes = {name: known for name, known in self._changes.items() if name in running}
            self._news.forget({uid for uid, _ in self._changes.values()})
            if leads:
                wanted = {name: spec.notify for name, (_, spec) in self._guards.items()}
                self._notifier.keep(wanted, {guard["metadata"]["name"] for guard in namespace.guards})
                self._load()
                self._tick_schedule(namespace.changes, now)
            else:
                self._drop()
            self._show(leads, now)

    def conditions(self, guard: Object) -> list[Mapping[str, Any]]:
        """What belongs beside `Accepted` in a Guard's conditions."""
        with _no_harm("the condition of a Guard"):
            condition = self._notifier.condition(guard, self._now())
            return [condition] if condition else []
        return []

    def stop(self) -> None:
        """Ends scheduled suites and waits for their processes; lets messages under way arrive."""
        with _no_harm("stopping"):
            self._schedule.drop()
            for run in self._started:
                run.join(END_SECONDS)
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

    def _load(self) -> None:
        """What earlier guards ran, read beside the ticks; until it is there nothing is due."""
        if self._loaded is not None or (self._loading and self._loading.is_alive()):
            return
        if not any(spec.suites.schedule for _, spec in self._guards.values()):
            return
        self._loading = threading.Thread(target=self._read_runs, name="suite-runs", daemon=True)
        self._loading.start()

    def _read_runs(self) -> None:
        try:
            runs = list(_readable(self._runs.all()))
            self._runs.end_orphans(runs, self._now())
            self._loaded = runs
        except TidegateError as error:
            log.warning("scheduled suites wait: their history cannot be read: %s", error)
            time.sleep(RETRY_SECONDS)

    def _tick_schedule(self, changes: Sequence[Object], now: float) -> None:
        if self._loaded is not None and not self._schedule.restored:
            self._schedule.restore(map(_last, self._loaded))
            self._results = dict(filter(None, map(_result, self._loaded)))
            self._told = {key: known.verdict for key, known in self._results.items()}
        specs = {name: spec for name, (_, spec) in self._guards.items()}
        for ended in self._schedule.tick(specs, _changing(changes), now):
            self._take(ended)
        self._started = [run for run in self._started if not run.done]

    def _take(self, ended: Ended) -> None:
        outcome = ended.outcome
        key = (ended.guard, outcome.suite)
        self._results[key] = _Known(outcome.verdict, ended.at)
        self._metrics.suite_ended(
            self._name, *key, outcome.verdict, outcome.ttft_seconds, outcome.e2e_seconds
        )
        if outcome.verdict not in (Verdict.INCONCLUSIVE, self._told.get(key, Verdict.PASS)):
            self._told[key] = outcome.verdict
            self._tell(self._of_probe(_PROBE_EVENTS.get(outcome.verdict, "ProbeError"), ended))

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

    def _start(self, job: Job) -> ScheduledRun:
        tools = Tools(self._runs, self._judge, self._render, self._endpoints, self._config_map, self._now)
        run = ScheduledRun(job, self._guards[job.guard][0], tools)
        self._started.append(run)
        return run

    def _endpoints(self, spec: GuardSpec) -> Sequence[Endpoint]:
        """The stable's ready pods, as the candidate of their own suites."""
        auth = spec.target.auth
        key = (
            read_secret(self._client, self._name, auth.secret_ref.name, auth.secret_ref.key) if auth else None
        )
        assert self._namespace is not None
        seen = self._namespace.look(spec).endpoints(spec.target.runtime.port, key)
        return [replace(endpoint, arm=Arm.CANARY) for endpoint in seen[Arm.BASELINE]]

    def _config_map(self, name: str) -> Mapping[str, str]:
        return dict(self._client.get(CONFIG_MAPS, self._name, name).get("data") or {})

    def _drop(self) -> None:
        self._schedule.drop()
        self._loaded = None
        self._results.clear()

    def _show(self, leads: bool, now: float) -> None:
        changes = tuple(state for _, state in self._changes.values() if state.phase is not Phase.FINISHED)
        self._metrics.show(State(self._name, leads, now, tuple(self._suites(now)), changes))

    def _suites(self, now: float) -> Iterator[SuiteState]:
        for guard, (_, spec) in self._guards.items():
            for suite, (interval, since) in self._schedule.expected(guard, spec, now).items():
                known = self._results.get((guard, suite))
                yield SuiteState(
                    guard,
                    suite,
                    interval,
                    since,
                    known.verdict if known else None,
                    known.finished_at if known else None,
                )


@contextmanager
def _no_harm(what: str) -> Iterator[None]:
    """A fault in here must not keep the daemon from judging."""
    try:
        yield
    except Exception:
        log.exception("%s: a fault of Tidegate itself", what)


def _changing(changes: Sequence[Object]) -> set[str]:
    """Targets that an unfinished Change stands on; one that cannot be read stands on none."""
    found = set()
    for change in changes:
        if status_of(change).get("phase") != Phase.FINISHED:
            plan = change["spec"].get("plan") or {}
            stable = ((plan.get("guard") or {}).get("target") or {}).get("stable") or {}
            found.add(str((stable.get("workload") or {}).get("name")))
    return found


def _readable(runs: Sequence[Object]) -> Iterator[Object]:
    """Runs that a guard can have written: one that somebody else did must not hold the others up."""
    for run in runs:
        try:
            _last(run), _result(run)
        except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
            log.warning("SuiteRun %s is left out: %s", run["metadata"]["name"], one_line(str(error)))
        else:
            yield run


def _last(run: Object) -> Last:
    spec = run["spec"]
    at = datetime.fromisoformat(spec["scheduledAt"]).timestamp()
    return Last(spec["guard"], spec["suite"]["name"], spec["cron"], at)


def _result(run: Object) -> tuple[tuple[str, str], _Known] | None:
    status = status_of(run)
    if not status.get("verdict") or not status.get("finishedAt"):
        return None
    known = _Known(Verdict(status["verdict"]), datetime.fromisoformat(status["finishedAt"]).timestamp())
    return (run["spec"]["guard"], run["spec"]["suite"]["name"]), known
