"""The demo's rollouts: what each changes in the canary, what must come of it, and one run of it.

A rollout is what a release pipeline does: apply the canary Deployment with its replicas, open a Change, wait.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import CHANGES, Object
from guard.core.change import Phase
from guard.demo.engine import Engine
from guard.demo.machine import DemoError, Machine

NAMESPACE = "inference"
GUARD = "chat"
POLL_SECONDS = 0.3

Arguments = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Rollout:
    """One change of the canary's arguments. `expected` is the reason that the Change must end with."""

    name: str
    title: str
    expected: str
    arguments: Arguments
    touches_traffic: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended."""

    rollout: Rollout
    change: Object
    began_at: float
    ended_at: float
    highest_weight: int

    @property
    def status(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.change["status"]
        return found

    @property
    def as_expected(self) -> bool:
        moved = self.highest_weight > 0
        return self.status["reason"] == self.rollout.expected and moved == self.rollout.touches_traffic


def canary(manifest: Path, change: Arguments) -> list[Object]:
    """The canary's documents with one replica and changed arguments."""
    import yaml

    documents: list[Object] = [d for d in yaml.safe_load_all(manifest.read_text(encoding="utf-8")) if d]
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = 1
            container = document["spec"]["template"]["spec"]["containers"][0]
            container["args"] = change(container["args"])
    return documents


def run_rollout(
    machine: Machine, engine: Engine, rollout: Rollout, say: Callable[[str, str], None]
) -> Outcome:
    """Applies, opens, and follows the Change to its end; `say(kind, message)` for each line of its timeline.

    Raises:
        DemoError: It did not end in time.
    """
    import yaml

    began = time.time()
    file = machine.folder / f"canary-{rollout.name}.yaml"
    file.write_text(
        yaml.safe_dump_all(canary(engine.manifests / "chat-canary.yaml", rollout.arguments), sort_keys=False),
        encoding="utf-8",
    )
    machine.kubectl("apply", "-f", str(file))
    ticket = f"DEMO-{rollout.name}"
    opened = machine.tidegate("change", "open", "-n", NAMESPACE, "--guard", GUARD, "--ticket", ticket).strip()
    say("Opened", f"{opened} (canary in {file.name})")
    name = opened.removeprefix("change/")
    return _follow(machine, rollout, name, began, engine.rollout_seconds, say)


def _follow(
    machine: Machine,
    rollout: Rollout,
    name: str,
    began: float,
    most_seconds: float,
    say: Callable[[str, str], None],
) -> Outcome:
    telling, highest = Telling(say), 0
    deadline = time.monotonic() + most_seconds
    while True:
        machine.check()
        change = machine.client.get(CHANGES, NAMESPACE, name)
        status = change.get("status") or {}
        telling.tell(status)
        highest = max(highest, status.get("weight") or 0)
        if status.get("phase") == Phase.FINISHED:
            return Outcome(rollout, change, began, time.time(), highest)
        if time.monotonic() > deadline:
            raise DemoError(f"change {name} did not end within {most_seconds:.0f} s: {status.get('message')}")
        time.sleep(POLL_SECONDS)


@dataclass
class Telling:
    """Says what is new of one Change: lines of its timeline, and between them the verdict as it forms."""

    say: Callable[[str, str], None]
    _lines: int = 0
    _latest: tuple[str, str] = ("", "")
    _forming: tuple[str, str] = ("", "")

    def tell(self, status: Mapping[str, Any]) -> None:
        timeline = status.get("timeline") or []
        for entry in timeline[self._lines :]:
            self._latest = entry["kind"], entry["message"]
            self.say(*self._latest)
        self._lines = max(self._lines, len(timeline))
        now = status.get("reason") or "", status.get("message") or ""
        new = now not in (self._latest, self._forming)
        if all(now) and new and status.get("phase") != Phase.FINISHED:
            self._forming = now
            self.say(now[0], f"{status.get('verdict') or 'no verdict yet'}: {now[1]}")


def with_argument(argument: str) -> Arguments:
    """Adds `--name=value`, or replaces the value of an argument that is there."""
    name = argument.split("=", 1)[0] + "="

    def change(arguments: list[str]) -> list[str]:
        return [a for a in arguments if not a.startswith(name)] + [argument]

    return change
