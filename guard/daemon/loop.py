"""The daemon: one namespace, every Guard and Change in it, while the Lease is held.

Owns leading, waking up, whose turn it is, and when each unfinished Change begins and ends. At most one Change
of a Guard runs at a time; the others wait their turn in order of creation. Refuses to know what a turn does
(`running`) and how it is written (`change_object`, `guard_object`).
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from guard.adapters.kubernetes.client import CHANGES, KubernetesClient, Object
from guard.adapters.kubernetes.lease import Lease
from guard.api.change import ChangeSpec
from guard.api.fields import parse
from guard.core.change import Phase, Reason
from guard.daemon.change_object import FINALIZER, ChangeObject, finalizers
from guard.daemon.equipment import Equipment
from guard.daemon.guard_object import GuardObjects
from guard.daemon.kept_rollback import KeptRollbacks
from guard.daemon.observe import Namespace
from guard.daemon.progress import Progress
from guard.daemon.record import Render, Subject
from guard.daemon.running import Running
from guard.daemon.upkeep import Upkeep
from guard.errors import ConfigurationError, TidegateError

TICK_SECONDS = 1.0
EQUIP_SECONDS = 10.0

log = logging.getLogger("tidegate.guard")


class Daemon:
    """Call `run()`; it returns when `stop()` was called."""

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        identity: str,
        artifacts: Path,
        render: Render,
        upkeep: Upkeep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._namespace = Namespace(client, namespace, self.wake)
        self._lease = Lease(client, namespace, "tidegate-guard", identity)
        self._artifacts = artifacts
        self._render = render
        self._upkeep = upkeep
        self._now = now
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._guards = GuardObjects(client, self._namespace, now)
        self._running: dict[str, Running] = {}
        self._ended: set[str] = set()  # uids; a watch may lag behind our own last write
        self._kept = KeptRollbacks()

    def wake(self) -> None:
        """Something has arrived: do not wait for the next tick."""
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Raises ConfigurationError when the namespace cannot be watched at the start."""
        self._namespace.start()
        log.info("watching namespace %s", self._namespace.name)
        led = False
        try:
            while not self._stop.is_set():
                leads = self._lease.hold()
                if leads != led:
                    why = self._lease.error or "another guard holds the lease"
                    log.info("leading" if leads else f"not leading: {why}")
                    led = leads
                self._upkeep.round(self._namespace, leads, self._running.keys())
                self._tick() if leads else self._drop_all()
                self._wake.wait(TICK_SECONDS)
                self._wake.clear()
        finally:
            self._drop_all()
            self._upkeep.stop()
            self._namespace.stop()
            self._lease.release()

    def _tick(self) -> None:
        waiting = sorted(self._namespace.changes, key=_turn_of)
        busy = {running.run.guard_name: name for name, running in self._running.items()}
        for change in waiting:
            name = change["metadata"]["name"]
            if change["metadata"]["uid"] in self._ended:
                continue
            try:
                self._turn(name, change, busy)
            except TidegateError as error:
                log.warning("change %s: %s", name, error)
            except Exception:  # one Change's fault is not another's: those go on, and this one is tried again
                log.exception("change %s: a fault of Tidegate itself", name)
        gone = self._running.keys() - {change["metadata"]["name"] for change in waiting}
        for name in gone:
            self._end(name)
        for guard in self._namespace.guards:
            self._guards.check(guard, self._under_way(guard), self._upkeep.conditions(guard))

    def _turn(self, name: str, change: Object, busy: dict[str, str]) -> None:
        """One Change's part of a tick; the first of a Guard is begun, the others wait.

        `busy`: Guards with their Change. One that could not be begun yet keeps its turn all the same.
        """
        if name in self._running and self._running[name].subject.uid != change["metadata"]["uid"]:
            self._end(name)
        if name not in self._running:
            if (change.get("status") or {}).get("phase") == Phase.FINISHED:
                if FINALIZER in finalizers(change):  # its guard was killed, or could not, just before this
                    self._object(name).let_go()
                return
            ahead = busy.setdefault(change["spec"].get("guard"), name)
            if ahead != name:
                if self._object(name).queue(change, ahead):
                    self._ended.add(change["metadata"]["uid"])
                return
            self._begin(change)
        else:
            self._equip_again(name, change)
        if name in self._running:
            self._advance(name, change)

    def _begin(self, watched: Object) -> None:
        name = watched["metadata"]["name"]
        # Read afresh: a watch may lag behind what another guard has just brought to its end.
        change = self._client.get(CHANGES, self._namespace.name, name)
        status = change.get("status") or {}
        if status.get("phase") == Phase.FINISHED or change["metadata"]["uid"] != watched["metadata"]["uid"]:
            return  # the watch will tell of it
        begun = status.get("phase") not in (None, Phase.PENDING)
        try:
            subject = self._subject(change)
            has = self._equip(subject, begun)
        except ConfigurationError as error:
            if not begun:
                self._object(name).end_unstarted(change, Reason.REFUSED, str(error))
            else:  # users may be on its canary: ending it here would leave the weight where it is
                log.error("change %s: cannot go on: %s", name, error)
            return
        if has.lacks:
            log.error("change %s: goes on without suites: %s", name, has.lacks)
        progress = Progress.from_status(status, self._now())
        self._running[name] = running = Running(
            self._client, self._namespace, subject, has, progress, self._kept, self.wake, self._now
        )
        log.info("change %s: begins in phase %s", name, progress.phase)
        if running.recalled:
            running.save()  # the intent first

    def _under_way(self, guard: Object) -> str | None:
        """The Guard's Change that is begun."""
        name = guard["metadata"]["name"]
        return next((change for change, r in self._running.items() if r.run.guard_name == name), None)

    def _subject(self, change: Object) -> Subject:
        """Raises ConfigurationError when its spec cannot be read."""
        metadata = change["metadata"]
        spec = parse(ChangeSpec, change["spec"], f"Change {metadata['name']}: spec")
        good = self._guards.last_known_good(spec.guard)
        return Subject(self._namespace.name, metadata["name"], metadata["uid"], spec, good)

    def _equip(self, subject: Subject, begun: bool) -> Equipment:
        return Equipment.of(self._client, subject, self._artifacts, self._render, begun)

    def _equip_again(self, name: str, change: Object) -> None:
        """What was missing may be there by now: the Change is then taken up anew, as by a successor."""
        running = self._running[name]
        if not running.has.lacks or self._now() - running.equipped_at < EQUIP_SECONDS or running.run.finished:
            return
        running.equipped_at = self._now()
        if not self._equip(running.subject, begun=True).lacks:
            self._end(name)
            self._begin(change)

    def _advance(self, name: str, change: Object) -> None:
        running = self._running[name]
        running.turn(change)
        if running.run.finished:
            self._close(name, change)
        self._upkeep.change(running.run, change)

    def _close(self, name: str, change: Object) -> None:
        """Writes the evidence, then the final status: who waits for Finished finds the report."""
        running = self._running[name]
        running.write_evidence()
        if running.run.progress.ended is Reason.PROMOTED:
            self._guards.record_last_known_good(change)
        running.save()
        running.let_go()
        self._ended.add(change["metadata"]["uid"])
        self._end(name)

    def _object(self, name: str) -> ChangeObject:
        """Of a Change that is not under way here."""
        return ChangeObject(self._client, self._namespace.name, name, self._now)

    def _end(self, name: str) -> None:
        self._running.pop(name).stop()

    def _drop_all(self) -> None:
        for name in list(self._running):
            self._end(name)
        self._guards.forget()


def _turn_of(change: Object) -> tuple[bool, str, str]:
    """Sorts Changes: one that was begun comes before all that were not, then the older one."""
    metadata = change["metadata"]
    waits = (change.get("status") or {}).get("phase") in (None, Phase.PENDING)
    return waits, metadata["creationTimestamp"], metadata["name"]
