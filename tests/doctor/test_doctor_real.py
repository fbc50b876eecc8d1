"""The doctor on the demo's machine: real Traefik, llama.cpp and guard, each as its service account."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from guard.adapters.kubernetes.client import LEASES
from guard.demo import run
from guard.demo.machine import DemoError, Machine
from guard.demo.show import Show
from tests.doctor.conftest import GUARD_USER

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("doctor") / "machine", ROOT) as machine:
        run.set_up(machine, Show(Console()), addresses="127.73.8.0/24")
        machine.wait_for("a leader", lambda: bool(machine.list(LEASES, "inference")), run.START_SECONDS)
        yield machine


def examined(machine: Machine) -> dict[str, Any]:
    arguments = ("doctor", "-n", "inference", "--as", GUARD_USER, "--json")
    document: dict[str, Any] = json.loads(machine.tidegate(*arguments, "--artifacts", str(machine.folder)))
    return document


def test_the_demos_guard_has_all_that_it_needs_and_nothing_to_spare(machine: Machine) -> None:
    findings = examined(machine)["findings"]
    # No user has asked yet, so Traefik has counted and logged nothing.
    unused = ("count no requests", "has no request in its last")
    odd = [f for f in findings if f["level"] != "OK" and not any(words in f["message"] for words in unused)]
    assert odd == []
    assert any("leads in inference" in f["message"] for f in findings)


@pytest.fixture
def without_gateway(machine: Machine) -> Iterator[Machine]:
    machine.kubectl("scale", "-n", "gateway", "deployment/traefik", "--replicas=0")
    machine.kubectl("wait", "-n", "gateway", "pods", "--all", "--for=delete", "--timeout=60s")
    yield machine
    machine.kubectl("scale", "-n", "gateway", "deployment/traefik", "--replicas=1")
    machine.wait_for("Traefik", lambda: machine.rolled_out("gateway", "traefik"), run.START_SECONDS)


def test_a_gateway_that_has_gone_is_a_problem(without_gateway: Machine) -> None:
    with pytest.raises(DemoError, match=r"no ready endpoint behind http://traefik\.gateway:9100/metrics"):
        examined(without_gateway)
