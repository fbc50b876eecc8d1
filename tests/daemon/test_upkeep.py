"""Claims about what the daemon does beside Changes, against the API over HTTP; suites are the test's own."""

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import (
    GUARDS,
    SECRETS,
    SUITE_RUNS,
    KubernetesClient,
    Object,
)
from guard.adapters.metrics import Metrics
from guard.adapters.notify.webhook import Destination
from guard.adapters.workloads import Address
from guard.core.check import Check
from guard.core.comparison import ArmCounts
from guard.core.evidence import Report
from guard.core.suite_outcome import SuiteOutcome
from guard.core.verdict import Verdict
from guard.daemon.observe import Observation, Side
from guard.daemon.suite_runs import SuiteRuns
from guard.daemon.upkeep import Upkeep
from guard.errors import UnreachableError
from guard.testing.cluster import FakeCluster
from tests.daemon.conftest import NAMESPACE, documents

MIDNIGHT = 1_800_057_600.0
PATIENCE_SECONDS = 20.0
HOOK = "http://127.60.3.9:9/verysecrettoken"  # nobody listens


@dataclass
class Suites:
    """What suites come to; `wait` lets one run until the test, or a stop, ends it."""

    verdict: Verdict = Verdict.PASS
    wait: bool = False
    asked: list[str] = field(default_factory=list)
    fault: Exception | None = None
    counted: Mapping[str, ArmCounts] = field(default_factory=dict)

    def judge(
        self,
        endpoint: Endpoint,
        model: str,
        suite: Any,
        objectives: Sequence[Any],
        dataset: Path | None,
        folder: OutputFolder,
        stop: threading.Event,
    ) -> tuple[Report, SuiteOutcome]:
        self.asked.append(endpoint.url)
        if self.fault:
            raise self.fault
        if self.wait:
            assert stop.wait(PATIENCE_SECONDS)
        folder.write_evidence("fingerprints.json", {"candidate": {"model": model}, "baseline": None})
        check = Check(
            "ttft-median", self.verdict, "as scripted", "ttft", 3.0, 1.0, None, "seconds", samples=5
        )
        report = Report("gate", "t", self.verdict, "as scripted", 1.0, 2.0, "0", endpoint.url)
        return report, SuiteOutcome(
            suite.name, self.verdict, "as scripted", check, (0.1, 0.2), (0.5,), self.counted
        )


@dataclass
class Cluster:
    """What the watches would tell: Guards, Changes, and a stable with pods."""

    guards: list[Object]
    changes: list[Object] = field(default_factory=list)
    addresses: tuple[str, ...] = ("127.60.3.1",)
    name: str = NAMESPACE

    def look(self, spec: Any) -> Observation:
        none = Side(None, (), ())
        return Observation(None, Side(None, (), tuple(map(Address, self.addresses))), none)


class Stand:
    """One daemon's upkeep at a clock that only the test moves."""

    def __init__(self, client: KubernetesClient, guard: Object, artifacts: Path) -> None:
        self.client, self.artifacts = client, artifacts
        self.cluster = Cluster([guard])
        self.suites = Suites()
        self.now = MIDNIGHT
        self.restart()

    def restart(self) -> None:
        self.metrics = Metrics()
        self.upkeep = Upkeep(
            self.client,
            NAMESPACE,
            self.artifacts,
            self.suites.judge,
            lambda report: {"verdict.json": b"{}"},
            self.metrics,
            now=lambda: self.now,
        )

    def round(self, minutes: float | None = None, leads: bool = True) -> None:
        if minutes is not None:
            self.now = MIDNIGHT + minutes * 60
        self.upkeep.round(self.cluster, leads, ())  # type: ignore[arg-type]

    def begin(self) -> None:
        """Rounds until the history is known, so that what is due next will run."""
        self.until(lambda: self.upkeep._suites.restored)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline
            self.round()
            threading.Event().wait(0.01)

    def ran(self, count: int, minutes: float) -> None:
        """Time comes to `minutes`; returns when so many suites in all have been counted."""
        self.round(minutes)
        self.until(lambda: self.count() >= count)

    def condition(self, kind: str) -> Mapping[str, Any] | None:
        """Of the one Guard, as the daemon would write it now."""
        found = self.upkeep.conditions(self.cluster.guards[0])
        return next((condition for condition in found if condition["type"] == kind), None)

    def count(self) -> float:
        return sum(value(self.metrics.registry, "tidegate_suite_runs_total", verdict=str(v)) for v in Verdict)

    def runs(self) -> list[Object]:
        return SuiteRuns(self.client, NAMESPACE, self.artifacts).all()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    common = {"namespace": NAMESPACE, "guard": "chat"}
    suite = {"suite": "smoke"} if "suite" in name or "probe" in name else {}
    return registry.get_sample_value(name, {**common, **suite, **labels}) or 0.0


def _without_formats(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_formats(part) for key, part in schema.items() if key != "format"}
    return [_without_formats(part) for part in schema] if isinstance(schema, list) else schema


@pytest.fixture
def stand(client: KubernetesClient, tmp_path: Path) -> Iterator[Stand]:
    (document,) = documents("stack/manifests/demo/guard.yaml")
    document["spec"]["suites"]["schedule"] = [{"cron": "*/15 * * * *", "suites": [{"name": "smoke"}]}]
    stand = Stand(client, client.create(GUARDS, NAMESPACE, document), tmp_path)
    yield stand
    stand.upkeep.stop()


def test_a_scheduled_suite_leaves_a_record_with_verdict_evidence_and_fingerprint(stand: Stand) -> None:
    stand.begin()
    stand.ran(1, 15)
    (run,) = stand.runs()
    assert run["spec"]["suite"] == {"name": "smoke", "ttftMedianLimit": "10s", "timeout": "60s"}
    assert run["spec"]["endpoint"] == "http://127.60.3.1:8000"
    assert run["metadata"]["ownerReferences"][0]["kind"] == "Guard"
    status = run["status"]
    assert (status["verdict"], status["fingerprint"]) == ("PASS", {"model": "smollm2-135m-instruct"})
    assert (Path(status["evidence"]) / "verdict.json").is_file()
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [("Finished", "Passed")]


def test_the_metrics_tell_verdict_age_and_times_of_the_probes(stand: Stand) -> None:
    stand.begin()
    stand.suites.verdict = Verdict.FAIL
    stand.ran(1, 15)
    registry = stand.metrics.registry
    assert value(registry, "tidegate_suite_verdict", verdict="FAIL") == 1
    assert value(registry, "tidegate_suite_verdict", verdict="PASS") == 0
    assert value(registry, "tidegate_suite_last_run_timestamp_seconds") == MIDNIGHT + 15 * 60
    assert value(registry, "tidegate_suite_interval_seconds") == 900
    assert value(registry, "tidegate_probe_ttft_seconds_count") == 2
    assert value(registry, "tidegate_probe_e2e_seconds_sum") == 0.5


def test_a_guard_that_does_not_lead_shows_no_suites(stand: Stand) -> None:
    stand.begin()
    stand.ran(1, 15)
    stand.round(leads=False)
    registry = stand.metrics.registry
    assert registry.get_sample_value("tidegate_guard_leader", {"namespace": NAMESPACE}) == 0
    assert value(registry, "tidegate_suite_verdict", verdict="PASS") == 0
    assert value(registry, "tidegate_suite_interval_seconds") == 0


def test_a_new_guard_knows_what_the_last_one_found_and_does_not_repeat_it(stand: Stand) -> None:
    stand.begin()
    stand.suites.verdict = Verdict.FAIL
    stand.ran(1, 15)
    stand.upkeep.stop()
    stand.restart()
    stand.begin()
    stand.round()
    assert value(stand.metrics.registry, "tidegate_suite_verdict", verdict="FAIL") == 1
    assert len(stand.suites.asked) == 1


def test_two_guards_that_both_think_they_lead_run_a_suite_once(stand: Stand) -> None:
    other = Stand(stand.client, stand.cluster.guards[0], stand.artifacts)
    stand.begin()
    other.begin()
    stand.ran(1, 15)
    other.round(15)
    other.until(lambda: not other.upkeep._suites.busy)
    other.upkeep.stop()
    assert len(stand.runs()) == 1
    assert other.suites.asked == []


def test_a_change_ends_the_scheduled_suite_and_nothing_is_said_of_the_target(stand: Stand) -> None:
    stand.suites.wait = True
    stand.begin()
    stand.round(15)
    stand.until(lambda: bool(stand.suites.asked))
    plan = {"guard": stand.cluster.guards[0]["spec"]}
    stand.cluster.changes = [{"metadata": {"name": "ops-1"}, "spec": {"guard": "chat", "plan": plan}}]
    stand.round(15.1)
    stand.until(lambda: not stand.upkeep._suites.busy)
    (run,) = stand.runs()
    assert run["status"].get("verdict") is None
    assert run["status"]["conditions"][0]["reason"] == "Stopped"
    assert stand.count() == 0
    stand.round(30)
    assert len(stand.runs()) == 1, "a Change is still there"


def test_a_run_whose_guard_died_is_ended_by_the_next_one(stand: Stand) -> None:
    stand.suites.wait = True
    stand.begin()
    stand.round(15)
    stand.until(lambda: bool(stand.suites.asked))
    runs = SuiteRuns(stand.client, NAMESPACE, stand.artifacts)
    runs.end_orphans(runs.all(), stand.now)
    assert stand.runs()[0]["status"]["message"] == "the guard that ran it has ended"


@pytest.mark.parametrize(
    ("scheduled_at", "status"),
    [
        ("yesterday", {}),
        (
            "2027-01-16T00:00:00Z",
            {"phase": "Finished", "verdict": "FINE", "finishedAt": "2027-01-16T00:01:00Z"},
        ),
    ],
    ids=["a time that is none", "a verdict that is none"],
)
def test_a_run_that_no_guard_wrote_does_not_hold_the_schedule_up(
    cluster: FakeCluster, stand: Stand, caplog: pytest.LogCaptureFixture, scheduled_at: str, status: Object
) -> None:
    """Written while the definition did not refuse such a time yet."""
    spec = {
        "guard": "chat",
        "suite": {"name": "smoke"},
        "workload": "chat-stable",
        "model": "m",
        "cron": "*/15 * * * *",
        "scheduledAt": scheduled_at,
    }
    kind = {"apiVersion": "tidegate.dev/v1alpha1", "kind": "SuiteRun"}
    cluster.apply([_without_formats(definition) for definition in documents("deploy/crds.yaml")])
    stand.client.create(SUITE_RUNS, NAMESPACE, {**kind, "metadata": {"name": "by-hand"}, "spec": spec})
    stand.client.patch_merge(SUITE_RUNS, NAMESPACE, "by-hand", {"status": status}, "status")
    cluster.apply(documents("deploy/crds.yaml"))
    stand.begin()
    stand.ran(1, 15)
    assert value(stand.metrics.registry, "tidegate_suite_verdict", verdict="PASS") == 1
    assert [r.getMessage().split(":")[0] for r in caplog.records if r.levelname == "WARNING"] == [
        "SuiteRun by-hand is left out"
    ]


def test_the_newest_runs_are_kept_and_so_are_failures_among_older_ones(stand: Stand) -> None:
    stand.begin()
    verdicts = [Verdict.FAIL] + [Verdict.PASS] * 12
    for number, verdict in enumerate(verdicts, 1):
        stand.suites.verdict = verdict
        stand.ran(number, 15 * number)
        stand.until(lambda: not stand.upkeep._suites.busy)
    kept = stand.runs()
    assert [run["status"]["verdict"] for run in kept] == ["FAIL"] + ["PASS"] * 10
    folders = {path.name for path in (stand.artifacts / NAMESPACE / "suite_runs").iterdir()}
    assert folders == {run["metadata"]["name"] for run in kept}


def test_a_stable_without_a_ready_pod_is_an_error_and_not_silence(stand: Stand) -> None:
    stand.cluster.addresses = ()
    stand.begin()
    stand.ran(1, 15)
    assert stand.runs()[0]["status"]["message"] == "there is no ready endpoint to ask"
    assert value(stand.metrics.registry, "tidegate_suite_verdict", verdict="ERROR") == 1


@pytest.mark.parametrize("fault", [UnreachableError("no evidence could be written"), ZeroDivisionError("x")])
def test_a_fault_in_a_suite_is_an_error_in_its_record(stand: Stand, fault: Exception) -> None:
    stand.suites.fault = fault
    stand.begin()
    stand.ran(1, 15)
    assert stand.runs()[0]["status"]["verdict"] == "ERROR"


def test_a_verdict_is_told_though_its_record_cannot_be_written(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise UnreachableError("the API is away")

    monkeypatch.setattr(SuiteRuns, "finish", unreachable)
    stand.suites.verdict = Verdict.FAIL
    stand.begin()
    stand.ran(1, 15)
    assert value(stand.metrics.registry, "tidegate_suite_verdict", verdict="FAIL") == 1


def test_pods_of_the_stable_take_turns(stand: Stand) -> None:
    stand.cluster.addresses = ("127.60.3.1", "127.60.3.2")
    stand.begin()
    for number in (1, 2):
        stand.ran(number, 15 * number)
        stand.until(lambda: not stand.upkeep._suites.busy)
    assert stand.suites.asked == ["http://127.60.3.1:8000", "http://127.60.3.2:8000"]


def test_a_webhook_that_fails_is_told_in_the_guards_condition_and_holds_nothing_up(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("guard.daemon.notify.Destination", partial(Destination, backoff_seconds=0.001))
    hook = base64.b64encode(HOOK.encode()).decode()
    stand.client.create(
        SECRETS,
        NAMESPACE,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "data": {"url": hook}},
    )
    guard = stand.cluster.guards[0]
    guard["spec"]["notify"] = [{"webhook": {"secretRef": {"name": "hook"}}}]
    assert stand.upkeep.conditions(guard) == []
    stand.suites.verdict = Verdict.FAIL
    stand.begin()
    stand.ran(1, 15)
    stand.until(lambda: stand.condition("Notified") is not None)
    condition = stand.condition("Notified") or {}
    assert (condition["status"], condition["reason"]) == ("False", "Unreachable")
    assert value(stand.metrics.registry, "tidegate_webhook_failures_total", reason="Unreachable") == 1
    assert "verysecrettoken" not in str(condition) + caplog.text
    assert "verysecrettoken" not in str(stand.runs())
    metadata = {**guard["metadata"], "resourceVersion": "edited"}
    stand.cluster.guards = [{**guard, "metadata": metadata, "spec": {**guard["spec"], "notify": []}}]
    stand.round()
    assert stand.condition("Notified") is None, "nobody is to be told any more"


def test_runs_that_fail_spend_the_error_budget_and_a_restart_remembers(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[Any]()
    monkeypatch.setattr("guard.daemon.notify.Notifier.tell", lambda _, __, what: told.append(what))
    stand.suites.counted = {"errors": ArmCounts(4, 4)}
    stand.begin()
    for number in (1, 2):
        assert (stand.condition("ErrorBudgetBurning") or {})["status"] == "Unknown"
        stand.ran(number, 15 * number)
        stand.until(lambda: not stand.upkeep._suites.busy)
    stand.until(lambda: bool(told))
    (burning,) = (one for one in told if one.event == "ErrorBudgetBurning")
    body = burning.to_json()
    assert body["summary"].startswith("errors: 20 in 1 h, 20 in 17.5 min (page FIRES, above 14.4); ")
    assert (body["verdict"], body["signal"]["value"], body["signal"]["limit"]) == (
        "FAIL",
        pytest.approx(20),
        14.4,
    )
    assert body["links"]["command"] == f"kubectl describe -n {NAMESPACE} guard/chat"
    stand.upkeep.stop()
    stand.restart()
    stand.begin()
    stand.until(lambda: (stand.condition("ErrorBudgetBurning") or {}).get("reason") == "BurnsFast")
    labels = {"objective": "errors", "severity": "page"}
    assert value(stand.metrics.registry, "tidegate_error_budget_burning", **labels) == 1
    assert [one.event for one in told].count("ErrorBudgetBurning") == 1
    stand.round(leads=False)
    assert value(stand.metrics.registry, "tidegate_error_budget_burning", **labels) == 0


def test_what_an_earlier_guard_said_of_its_webhooks_stands_until_there_is_news(stand: Stand) -> None:
    known = {"type": "Notified", "status": "False", "reason": "Timeout"}
    guard = {**stand.cluster.guards[0], "status": {"conditions": [known]}}
    assert stand.upkeep.conditions(guard) == [known]


def test_nothing_here_can_stop_the_daemon(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.upkeep.round(None, True, ())  # type: ignore[arg-type]
    stand.upkeep.change(None, {})  # type: ignore[arg-type]
    assert stand.upkeep.conditions({}) == []
    assert caplog.text.count("a fault of Tidegate itself") == 3


def test_without_a_schedule_nothing_is_asked_of_the_api(stand: Stand) -> None:
    stand.cluster.guards[0]["spec"]["suites"]["schedule"] = []
    stand.round(15)
    assert not stand.upkeep._suites.loading
    assert stand.client.list(SUITE_RUNS, NAMESPACE)["items"] == []
