"""The demo's parts with a policy of the test's own, and every version of the objects it asks about."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
import yaml

from guard.adapters.kubernetes.client import (
    CHANGES,
    DEPLOYMENTS,
    EVENTS,
    HTTP_ROUTES,
    LEASES,
    KubernetesClient,
    Object,
    Resource,
)
from guard.adapters.routers.httproute import PHASE, read_route
from guard.core.change import Phase
from guard.demo.machine import Machine
from guard.demo.rollouts import GUARD, NAMESPACE, Arguments, canary
from guard.errors import TidegateError

PATIENCE_SECONDS = 240.0  # the machine may be busy; nothing here is about speed
ROUTE_MANIFEST = "stack/manifests/runtime/route.yaml"
CANARY_MANIFEST = "stack/manifests/runtime/chat-canary.yaml"
GUARD_MANIFEST = "stack/manifests/demo/guard.yaml"
LOG_CHARACTERS = 4000


class Versions:
    """Every version of one kind's objects that the API had since the start, in order, by a watch."""

    def __init__(self, client: KubernetesClient, resource: Resource) -> None:
        self._client, self._resource = client, resource
        listed = client.list(resource, NAMESPACE)
        self._objects: list[Object] = listed["items"]
        self._since = str(listed["metadata"]["resourceVersion"])
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def mark(self) -> int:
        """Where the next version will stand."""
        with self._arrived:
            return len(self._objects)

    def of(self, name: str, start: int = 0) -> list[Object]:
        with self._arrived:
            return [o for o in self._objects[start:] if o["metadata"]["name"] == name]

    def wait_for(self, name: str, holds: Callable[[Object], bool], start: int = 0) -> Object | None:
        """The first version of which it holds, as soon as it arrives; None when none came in time."""

        def first() -> Object | None:
            return next((o for o in self.of(name, start) if holds(o)), None)

        with self._arrived:
            return self._arrived.wait_for(first, PATIENCE_SECONDS)

    def join(self) -> None:
        """Once the API has ended: so does the watch."""
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        try:
            for kind, item in self._client.watch(
                self._resource, NAMESPACE, self._since, seconds=3600, idle_seconds=3600
            ):
                if kind in ("ADDED", "MODIFIED"):
                    with self._arrived:
                        self._objects.append(item)
                        self._arrived.notify_all()
        except TidegateError:
            pass  # the API has ended


class Stand:
    """A running demo machine, as pipelines, users and operators reach it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        watched = (CHANGES, DEPLOYMENTS, HTTP_ROUTES, LEASES)
        self.versions = {resource: Versions(machine.client, resource) for resource in watched}
        self._route_from = 0

    def policy(self, **changes: Any) -> None:
        """The demo's Guard without suites before traffic, with `changes` to its spec."""
        document = yaml.safe_load((self.machine.repository / GUARD_MANIFEST).read_text(encoding="utf-8"))
        short = {
            "suites": {"afterRollback": [{"name": "smoke", "timeout": "3m"}]},
            "steps": [{"weight": 60, "hold": "5m", "minRequests": 1}],
        }
        document["spec"] |= short | changes
        document["spec"]["signals"]["probes"]["perMinute"] = 6
        self.machine.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    def fresh_route(self) -> None:
        """The route as nobody but kubectl and the gateway has ever written it."""
        manifest = str(self.machine.repository / ROUTE_MANIFEST)
        self.machine.kubectl("delete", "-f", manifest)
        self._route_from = self.versions[HTTP_ROUTES].mark()
        self.machine.kubectl("apply", "-f", manifest)

    def open(self, name: str, arguments: Arguments) -> str:
        """Applies the canary and opens the Change, as a pipeline would; returns the Change's name."""
        documents = canary(self.machine.repository / CANARY_MANIFEST, arguments)
        self.machine.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
        self.machine.tidegate("change", "open", "-n", NAMESPACE, "--guard", GUARD, "--ticket", name)
        return name

    def clear(self) -> None:
        """No open Change, no canary: what the next test begins with."""
        for change in self.machine.list(CHANGES, NAMESPACE):
            name = change["metadata"]["name"]
            if not finished(change):
                self.machine.tidegate("change", "close", name, "-n", NAMESPACE)
                self.change(name, finished, "the Change's end")
        self.machine.kubectl("scale", "deployment/chat-canary", "-n", NAMESPACE, "--replicas=0")

    def weigh(self, canary_percent: int) -> None:
        """Moves the weight without the guard, by kubectl."""
        path = "/spec/rules/0/backendRefs/{}/weight"
        pairs = ((0, 100 - canary_percent), (1, canary_percent))
        patch = [{"op": "replace", "path": path.format(i), "value": weight} for i, weight in pairs]
        self.patch("httproute/chat", "json", patch)

    def patch(self, what: str, kind: str, patch: Any) -> None:
        arguments = ("patch", what, "-n", NAMESPACE, f"--type={kind}", "-p", json.dumps(patch))
        self.machine.kubectl(*arguments)

    def change(self, name: str, holds: Callable[[Object], bool], what: str) -> Object:
        return self._first(CHANGES, name, holds, f"{what} of change {name}")

    def route(self, holds: Callable[[Object], bool], what: str) -> Object:
        return self._first(HTTP_ROUTES, "chat", holds, f"{what} of the route", self._route_from)

    def routes(self) -> list[Object]:
        """Every version of the route since it was made."""
        return self.versions[HTTP_ROUTES].of("chat", self._route_from)

    def events(self, change: str) -> list[str]:
        """Reasons of the Events about a Change."""
        events = self.machine.list(EVENTS, NAMESPACE)
        return [event["reason"] for event in events if event["regarding"]["name"] == change]

    def guard_process(self) -> psutil.Process:
        (found,) = self._processes("guard", "--artifacts")
        return found

    def api_process(self) -> psutil.Process:
        (found,) = self._processes("guard.testing", "cluster")
        return found

    def guard_log(self) -> str:
        """Of every guard pod that there was."""
        logs = sorted((self.machine.folder / "pods" / NAMESPACE).glob("tidegate-guard-*/log"))
        return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    def _first(
        self, resource: Resource, name: str, holds: Callable[[Object], bool], what: str, start: int = 0
    ) -> Object:
        found = self.versions[resource].wait_for(name, holds, start)
        if found is None:
            last = self.versions[resource].of(name, start)[-1:]
            raise AssertionError(f"never came: {what}\n{last}\n{self.guard_log()[-LOG_CHARACTERS:]}")
        return found

    def _processes(self, *words: str) -> list[psutil.Process]:
        """Of this test run alone: descendants whose command line has all the words."""
        found = []
        for process in psutil.Process().children(recursive=True):
            try:
                if set(words) <= set(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue  # it has ended meanwhile
        return found


def status_of(change: Object) -> Mapping[str, Any]:
    """Empty until the guard has seen the Change."""
    return change.get("status") or {}


def finished(change: Object) -> bool:
    return status_of(change).get("phase") == Phase.FINISHED


def decided(change: Object) -> bool:
    return bool(status_of(change).get("decision"))


def weight(route: Object) -> int:
    return read_route(route, "chat-stable", "chat-canary").weight_percent


def route_phase(route: Object) -> str | None:
    return (route["metadata"].get("annotations") or {}).get(PHASE)


def steps_of(values: Sequence[Any]) -> list[Any]:
    """Without repetitions of the same value."""
    return [value for i, value in enumerate(values) if i == 0 or value != values[i - 1]]


def managers(versions: Sequence[Object]) -> set[str]:
    """Everyone who ever set a field: who overwrites a value owns it from that version on."""
    return {entry["manager"] for o in versions for entry in o["metadata"].get("managedFields") or ()}


def kinds(status: Mapping[str, Any]) -> list[str]:
    return [entry["kind"] for entry in status["timeline"]]
