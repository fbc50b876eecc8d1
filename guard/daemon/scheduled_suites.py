"""The Guards' scheduled suites: history, schedule, the runs under way, and each suite's last result.

Owns reading the history beside the ticks, starting what is due on the stable, and whether a verdict is news.
Refuses to know who is told. Until the history is there, nothing is due.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import CONFIG_MAPS, KubernetesClient, Object
from guard.adapters.kubernetes.secrets import read_secret
from guard.adapters.metrics import SuiteState
from guard.api.guard import GuardSpec
from guard.core.change import Phase
from guard.core.samples import Arm
from guard.core.text import one_line
from guard.core.verdict import Verdict
from guard.daemon.observe import Namespace
from guard.daemon.record import Render
from guard.daemon.schedule import Ended, Job, Last, Schedule
from guard.daemon.scheduled_run import Judge, ScheduledRun, Tools
from guard.daemon.suite_runs import SuiteRuns, status_of
from guard.errors import TidegateError

RETRY_SECONDS = 10.0
END_SECONDS = 7.0  # a suite that is ended writes what it has, for five seconds at most

Guards = Mapping[str, tuple[Object, GuardSpec]]
"""By name: the object, and its spec as it was read."""

log = logging.getLogger("tidegate.guard")


@dataclass(frozen=True)
class _Known:
    """The last result of a suite, whoever ran it."""

    verdict: Verdict
    finished_at: float


class ScheduledSuites:
    """Those of one namespace; call `tick` at each round while this guard leads, `drop` while it does not."""

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        artifacts: Path,
        judge: Judge,
        render: Render,
        now: Callable[[], float],
    ) -> None:
        self._client, self._name, self._now = client, namespace, now
        self._runs = SuiteRuns(client, namespace, artifacts)
        self._judge, self._render = judge, render
        self._schedule = Schedule(self._start)
        self._namespace: Namespace | None = None
        self._guards: Guards = {}
        self._results: dict[tuple[str, str], _Known] = {}
        self._told: dict[tuple[str, str], Verdict] = {}  # a verdict is told when it is another than before
        self._loading: threading.Thread | None = None
        self._loaded: list[Object] | None = None
        self._started: list[ScheduledRun] = []

    @property
    def restored(self) -> bool:
        """What earlier guards ran is known."""
        return self._schedule.restored

    @property
    def loading(self) -> bool:
        """The history is being read, or has been."""
        return self._loading is not None

    @property
    def busy(self) -> bool:
        """A run is under way."""
        return bool(self._started)

    def tick(self, guards: Guards, namespace: Namespace, now: float) -> list[tuple[Ended, bool]]:
        """Starts what is due. What has ended since the last call, and whether its verdict is news."""
        self._guards, self._namespace = guards, namespace
        self._load()
        if self._loaded is not None and not self._schedule.restored:
            self._schedule.restore(map(_last, self._loaded))
            self._results = dict(filter(None, map(_result, self._loaded)))
            self._told = {key: known.verdict for key, known in self._results.items()}
        specs = {name: spec for name, (_, spec) in guards.items()}
        ended = self._schedule.tick(specs, _changing(namespace.changes), now)
        found = [(one, self._take(one)) for one in ended]
        self._started = [run for run in self._started if not run.done]
        return found

    def drop(self) -> None:
        """This guard does not lead any more: whoever does knows better from now on."""
        self._schedule.drop()
        self._loaded = None
        self._results.clear()
        self._guards = {}

    def stop(self) -> None:
        """Ends the runs, and waits for their processes."""
        self._schedule.drop()
        for run in self._started:
            run.join(END_SECONDS)

    def states(self, now: float) -> Iterator[SuiteState]:
        """What each scheduled suite came to last, and when it should have."""
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

    def _load(self) -> None:
        """What earlier guards ran, read beside the ticks."""
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

    def _take(self, ended: Ended) -> bool:
        outcome = ended.outcome
        key = (ended.guard, outcome.suite)
        self._results[key] = _Known(outcome.verdict, ended.at)
        if outcome.verdict in (Verdict.INCONCLUSIVE, self._told.get(key, Verdict.PASS)):
            return False
        self._told[key] = outcome.verdict
        return True

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
