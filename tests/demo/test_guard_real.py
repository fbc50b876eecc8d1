"""The guard as it runs: killed in a rollback, only advising, surprised by other writers, without its API."""

import signal
import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import psutil
import pytest

from guard.adapters.kubernetes.client import DEPLOYMENTS, LEASES, PODS, Object
from guard.core.change import Phase, RoutePhase
from guard.demo.rollouts import NAMESPACE, with_argument
from tests.demo.stand import (
    Stand,
    decided,
    finished,
    kinds,
    managers,
    route_phase,
    status_of,
    steps_of,
    weight,
)

pytestmark = pytest.mark.real

CUT = with_argument("--ctx-size=256")  # users' long prompts are refused, everything else is answered
# Its end comes soon: most of eight requests that are bad breach the objective there.
SHORT_STEP = {"hold": "30s", "minRequests": 8}
HARMLESS = with_argument("--batch-size=256")
PAUSE_SECONDS = 5.0


def test_a_guard_killed_in_a_rollback_is_restarted_and_ends_it_once(stand: Stand) -> None:
    stand.policy(steps=[{"weight": 60, **SHORT_STEP}])
    killed = stand.guard_process()
    (pod,) = guard_pods(stand)
    name = stand.open("ops-killed", CUT)
    stand.change(name, decided, "a decision")
    killed.kill()

    status = stand.change(name, finished, "the end")["status"]
    assert (status["reason"], status["verdict"]) == ("RolledBack", "FAIL")
    assert status["decision"]["signal"] in ("errors", "hard_limit")
    assert status["rollback"]["lastNewRequestAt"] is not None  # which only the killed guard had seen
    assert_rolled_back_once(stand, name, status)
    assert [p["metadata"]["name"] for p in guard_pods(stand)] == [pod["metadata"]["name"]]
    assert stand.guard_process().pid != killed.pid


def test_another_guard_waits_for_the_lease_and_then_ends_the_rollback(stand: Stand) -> None:
    stand.policy()
    (pod,) = guard_pods(stand)
    name = stand.open("ops-lost", HARMLESS)
    stand.route(lambda route: weight(route) == 60, "the step's weight")
    stand.patch(f"change/{name}", "merge", {"spec": {"action": "RollBack"}})
    stand.route(lambda route: route_phase(route) == RoutePhase.ROLLING_BACK, "phase RollingBack")
    lost = pod["metadata"]["name"]
    stand.machine.kubectl("delete", "pod", lost, "-n", NAMESPACE, "--force", "--grace-period=0")

    status = stand.change(name, finished, "the end")["status"]
    assert status["reason"] == "RolledBack"
    assert_rolled_back_once(stand, name, status)
    assert_taken_over_when_run_out(stand.versions[LEASES].of("tidegate-guard"), lost)


def test_advise_says_what_it_would_have_done_and_patches_nothing(stand: Stand) -> None:
    stand.policy(enforcement="Advise", steps=[{"weight": 50, **SHORT_STEP}])
    name = stand.open("ops-advised", CUT)
    stand.change(name, lambda change: status_of(change).get("phase") == Phase.TESTING, "a ready canary")
    stand.weigh(50)
    stand.change(name, lambda change: bool(status_of(change).get("wouldHave")), "an advice")
    assert weight(stand.machine.route(NAMESPACE, "chat")) == 50
    stand.weigh(0)

    status = stand.change(name, finished, "the end")["status"]
    assert status["reason"] == "Observed"
    assert "decision" not in status
    would = status["wouldHave"]
    assert (would["action"], would["reason"]) == ("RollBack", "ObjectiveFailed")
    assert would["signal"] in ("errors", "hard_limit")
    entered = next(entry["at"] for entry in status["timeline"] if entry["kind"] == "StepEntered")
    assert entered < would["sampleAt"] <= would["at"] < status["finishedAt"]

    assert steps_of([weight(route) for route in stand.routes()]) == [0, 50, 0]
    assert_not_written_by_the_guard(stand)


def test_a_template_changed_in_a_step_is_rolled_back(stand: Stand) -> None:
    stand.policy()
    name = stand.open("ops-edited", HARMLESS)
    stand.route(lambda route: weight(route) == 60, "the step's weight")
    edit = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--ubatch-size=128"}]
    stand.patch("deployment/chat-canary", "json", edit)

    status = stand.change(name, finished, "the end")["status"]
    assert (status["reason"], status["verdict"]) == ("RolledBack", "FAIL")
    assert "fingerprint" in status["decision"]["message"]
    assert_rolled_back_once(stand, name, status, resumed=0)


def test_a_canary_that_already_has_traffic_is_refused(stand: Stand) -> None:
    stand.policy()
    stand.weigh(10)
    name = stand.open("ops-refused", HARMLESS)

    status = stand.change(name, finished, "the end")["status"]
    assert status["reason"] == "Refused"
    assert status["message"] == "CanaryHasTraffic: the canary already has 10 % of the traffic"
    assert weight(stand.machine.route(NAMESPACE, "chat")) == 10
    assert_not_written_by_the_guard(stand)


def test_an_api_that_pauses_in_a_step_does_not_stop_the_change(stand: Stand) -> None:
    steps = [
        {"weight": 20, "hold": "15s", "minRequests": 1},
        {"weight": 60, "hold": "5m", "minRequests": 1},
    ]
    stand.policy(steps=steps, suites={})
    name = stand.open("ops-paused", HARMLESS)
    stand.route(lambda route: weight(route) == 20, "the first step's weight")
    pause(stand.api_process())

    stand.route(lambda route: weight(route) == 60, "the second step's weight")
    change = stand.change(name, lambda change: status_of(change).get("step") == 1, "the second step")
    assert "decision" not in change["status"]
    assert steps_of([weight(route) for route in stand.routes()]) == [0, 20, 60]


def assert_rolled_back_once(stand: Stand, name: str, status: Any, resumed: int = 1) -> None:
    """One patch took the weight to 0, and marked it as ours; nothing was done twice by a second guard."""
    routes = stand.routes()
    assert steps_of([weight(route) for route in routes]) == [0, 60, 0]
    assert steps_of([route_phase(route) for route in routes])[-3:] == [
        RoutePhase.PROGRESSING,
        RoutePhase.ROLLING_BACK,
        RoutePhase.ROLLED_BACK,
    ]
    moved = next(r for before, r in pairwise(routes) if weight(before) and not weight(r))
    assert route_phase(moved) == RoutePhase.ROLLING_BACK
    assert kinds(status).count("Resumed") == resumed
    assert kinds(status).count("RolledBack") == 1
    assert stand.events(name).count("RolledBack") == 1
    after = [suite for suite in status["suites"] if suite["stage"] == "after-rollback"]
    assert after == [{"stage": "after-rollback", "suite": "smoke", "verdict": "PASS"}]


def assert_taken_over_when_run_out(leases: list[Object], lost: str) -> None:
    """The lease went from one guard to the other directly, and not before it had run out."""
    last = max(i for i, lease in enumerate(leases) if holder(lease) == lost)
    before, after = leases[last]["spec"], leases[last + 1]["spec"]
    assert holder(leases[last + 1]) not in ("", lost)
    waited = datetime.fromisoformat(after["acquireTime"]) - datetime.fromisoformat(before["renewTime"])
    assert waited.total_seconds() >= before["leaseDurationSeconds"]


def holder(lease: Object) -> str:
    """The pod's name, without the random part."""
    name: str = lease["spec"]["holderIdentity"]
    return name.partition("_")[0]


def assert_not_written_by_the_guard(stand: Stand) -> None:
    written = managers(stand.routes())
    assert "kubectl-patch" in written  # so that managers are told at all
    assert not [manager for manager in written if manager.startswith("tidegate")]
    deployments = stand.versions[DEPLOYMENTS]
    versions = [*deployments.of("chat-stable"), *deployments.of("chat-canary")]
    assert not [manager for manager in managers(versions) if manager.startswith("tidegate")]
    assert all(route_phase(route) is None for route in stand.routes())


def guard_pods(stand: Stand) -> list[Object]:
    pods: list[Object] = stand.machine.client.list(PODS, NAMESPACE, labels="app=tidegate-guard")["items"]
    return pods


def pause(process: psutil.Process) -> None:
    """Nothing is answered meanwhile, and no connection is closed."""
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(PAUSE_SECONDS)
    finally:
        process.send_signal(signal.SIGCONT)
