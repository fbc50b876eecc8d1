"""The daemon: one namespace, every Guard and Change in it, while the Lease is held.

Owns starting and ending a `ChangeRun` for each unfinished Change, saving its progress, and waking up. At
most one Change of a Guard runs at a time; the others wait their turn in order of creation. Refuses to know
what a tick does.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import CHANGES, GUARDS, KubernetesClient, Object
from guard.adapters.kubernetes.events import emit
from guard.adapters.kubernetes.lease import Lease
from guard.api.change import ChangeSpec, frozen_digest
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.change import Intent, Phase, Reason
from guard.daemon.act import Actor, release
from guard.daemon.change_run import ChangeRun
from guard.daemon.equipment import Equipment
from guard.daemon.kept_rollback import KeptRollbacks
from guard.daemon.measure import Measurements
from guard.daemon.observe import Namespace
from guard.daemon.operator import who
from guard.daemon.progress import QUEUED, Progress, rfc3339
from guard.daemon.record import Render, Subject
from guard.daemon.upkeep import Upkeep
from guard.errors import ConfigurationError, NotFoundError, TidegateError

TICK_SECONDS = 1.0
MESSAGE_SECONDS = 10.0
EQUIP_SECONDS = 10.0
FINALIZER = "tidegate.dev/traffic"
_WARNINGS = frozenset({Reason.ROLLED_BACK, Reason.REFUSED, Reason.ABANDONED, "ActionFailed"})

log = logging.getLogger("tidegate.guard")


@dataclass
class _Running:
    """One Change under way, and what has been written of it."""

    run: ChangeRun
    subject: Subject
    has: Equipment
    known: int  # lines of the timeline that a predecessor wrote, and has logged
    saved: dict[str, Any] = field(default_factory=dict)
    saved_at: float = 0.0
    announced: int = 0
    equipped_at: float = 0.0


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
        self._running: dict[str, _Running] = {}
        self._ended: set[str] = set()  # uids; a watch may lag behind our own last write
        self._kept = KeptRollbacks()
        self._guard_status: dict[str, Any] = {}

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
            self._check_guard(guard)

    def _turn(self, name: str, change: Object, busy: dict[str, str]) -> None:
        """One Change's part of a tick; the first of a Guard is begun, the others wait.

        `busy`: Guards with their Change. One that could not be begun yet keeps its turn all the same.
        """
        if name in self._running and self._running[name].subject.uid != change["metadata"]["uid"]:
            self._end(name)
        if name not in self._running:
            if (change.get("status") or {}).get("phase") == Phase.FINISHED:
                if FINALIZER in _finalizers(change):  # its guard was killed, or could not, just before this
                    self._release_object(change)
                return
            ahead = busy.setdefault(change["spec"].get("guard"), name)
            if ahead != name:
                self._queue(change, ahead)
                return
            self._begin(change)
        else:
            self._equip_again(name, change)
        if name in self._running:
            self._advance(name, change)

    def _queue(self, change: Object, ahead: str) -> None:
        """Says once what a Change waits for; one that is closed meanwhile ends without a turn."""
        name = change["metadata"]["name"]
        status = change.get("status") or {}
        if status.get("phase") not in (None, Phase.PENDING):
            return  # another guard had begun it
        if change["spec"].get("action") == Intent.CLOSE:
            self._end_unstarted(change, Reason.ABANDONED, "closed by an operator")
            self._ended.add(change["metadata"]["uid"])
            return
        message = f"waits for change/{ahead}"
        if (status.get("reason"), status.get("message")) == (QUEUED, message):
            return
        now = self._now()
        progress = Progress(opened_at=now)
        progress.generation = change["metadata"].get("generation")
        progress.enter(Phase.PENDING, now, QUEUED, message)
        body = {"status": progress.to_status(len(change["spec"]["plan"]["guard"].get("steps") or []))}
        self._client.patch_merge(CHANGES, self._namespace.name, name, body, "status")

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
                self._end_unstarted(change, Reason.REFUSED, str(error))
            else:  # users may be on its canary: ending it here would leave the weight where it is
                log.error("change %s: cannot go on: %s", name, error)
            return
        if has.lacks:
            log.error("change %s: goes on without suites: %s", name, has.lacks)
        progress = Progress.from_status(status, self._now())
        promoted = Actor(self._client, self._namespace.name, name, subject.spec.plan).promoted
        recalled = self._kept.recall(subject.uid, has.folder, progress, self._now(), promoted)
        self._running[name] = self._start(subject, has, progress)
        log.info("change %s: begins in phase %s", name, progress.phase)
        if recalled:
            self._save(name, progress)  # the intent first

    def _subject(self, change: Object) -> Subject:
        """Raises ConfigurationError when its spec cannot be read."""
        metadata = change["metadata"]
        spec = parse(ChangeSpec, change["spec"], f"Change {metadata['name']}: spec")
        good = self._last_known_good(spec.guard)
        return Subject(self._namespace.name, metadata["name"], metadata["uid"], spec, good)

    def _equip(self, subject: Subject, begun: bool) -> Equipment:
        return Equipment.of(self._client, subject, self._artifacts, self._render, begun)

    def _start(self, subject: Subject, has: Equipment, progress: Progress) -> _Running:
        spec, guard, name = subject.spec, subject.spec.plan.guard, subject.name
        progress.spec_digest = progress.spec_digest or frozen_digest(spec)
        measurements = Measurements(
            self._client,
            self._namespace.name,
            guard,
            has.targets(self._namespace, subject),
            self.wake,
            log_since=_fault_at(progress),
        )
        run = ChangeRun(
            name,
            spec,
            progress,
            look=lambda: has.records.saw(self._namespace.look(guard)),
            actor=Actor(self._client, self._namespace.name, name, spec.plan),
            measurements=measurements,
            start_suite=has.records.start_suite,
            save=lambda progress: self._save(name, progress),
            api_key=has.api_key,
        )
        return _Running(run, subject, has, known=len(progress.timeline), equipped_at=self._now())

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
        if not running.run.finished:  # closing is tried again; the Change's end stands
            self._work(running, change)
        running.has.records.keep(running.run)
        self._hold_object(running, change)
        self._announce(running, change)
        if running.run.finished:
            self._close(name, change)
        self._upkeep.change(running.run, change)

    def _work(self, running: _Running, change: Object) -> None:
        """One tick of its run, with what an operator asks for now."""
        self._compare_spec(running.run, change)
        action = change["spec"].get("action")
        progress = running.run.progress
        if action and action != progress.asked:
            progress.note(self._now(), f"Operator{action}", f"{action}, asked for by {who(change)}")
        progress.asked = action
        running.run.intent = Intent(action) if action else None
        if change["metadata"].get("deletionTimestamp"):
            running.run.intent = Intent.CLOSE
        running.run.tick()

    def _compare_spec(self, run: ChangeRun, change: Object) -> None:
        """Whether the Change still asks for what it began with: an API without CEL lets anyone edit it."""
        generation = change["metadata"].get("generation")
        if generation is not None and generation == run.progress.generation:
            return
        run.progress.generation = generation
        try:
            spec = parse(ChangeSpec, change["spec"], f"Change {run.name}: spec")
            run.edited = frozen_digest(spec) != run.progress.spec_digest
        except ConfigurationError:
            run.edited = True

    def _hold_object(self, running: _Running, change: Object) -> None:
        """A finalizer while users may be on the canary: a deleted Change still returns their traffic."""
        touched = running.run.progress.phase is not Phase.PENDING and running.run.enforces
        if touched and not running.run.finished and FINALIZER not in _finalizers(change):
            body = {"metadata": {"finalizers": [*_finalizers(change), FINALIZER]}}
            if not change["metadata"].get("deletionTimestamp"):
                self._client.patch_merge(CHANGES, self._namespace.name, change["metadata"]["name"], body)

    def _release_object(self, change: Object) -> None:
        name = change["metadata"]["name"]
        current = self._client.get(CHANGES, self._namespace.name, name)
        if FINALIZER in _finalizers(current):
            left = [f for f in _finalizers(current) if f != FINALIZER]
            self._client.patch_merge(CHANGES, self._namespace.name, name, {"metadata": {"finalizers": left}})

    def _close(self, name: str, change: Object) -> None:
        """Writes the evidence, then the final status: who waits for Finished finds the report."""
        running = self._running[name]
        progress = running.run.progress
        if progress.evidence is None:
            self._write_evidence(running)
        if progress.ended is Reason.PROMOTED:
            self._record_last_known_good(running, change)
        self._save(name, progress)
        self._release_object(change)
        self._ended.add(change["metadata"]["uid"])
        self._end(name)

    def _write_evidence(self, running: _Running) -> None:
        """A full disk or a fault in a report must not keep a Change from ending."""
        progress = running.run.progress
        try:
            progress.evidence, progress.evidence_digest = running.has.records.finish(running.run)
        except Exception as error:
            log.exception("change %s: its evidence could not be written", running.run.name)
            progress.evidence = f"not written: {type(error).__name__}: {error}"

    def _last_known_good(self, guard: str) -> dict[str, Any] | None:
        """What the Guard's status says of it now; None where nothing was promoted yet."""
        found = next((g for g in self._namespace.guards if g["metadata"]["name"] == guard), {})
        return (found.get("status") or {}).get("lastKnownGood")

    def _record_last_known_good(self, running: _Running, change: Object) -> None:
        plan = change["spec"]["plan"]
        good = {
            "change": change["metadata"]["name"],
            "digest": plan["digest"],
            "podTemplate": plan["canaryTemplate"],
            "recordedAt": rfc3339(self._now()),
        }
        body = {"status": {"lastKnownGood": good}}
        try:
            self._client.patch_merge(GUARDS, self._namespace.name, change["spec"]["guard"], body, "status")
        except NotFoundError:
            log.warning("guard %s is gone: its last known good is not recorded", change["spec"]["guard"])

    def _save(self, name: str, progress: Progress) -> None:
        """Patches the Change's status where it differs from what was last written."""
        running = self._running[name]
        document = progress.to_status(len(running.run.guard_steps))
        if progress.ended is not None and progress.evidence is None:
            return  # finished is written once, with the evidence
        # A message alone counts time down: written at every tick it would wake its own writer.
        quick = _without_messages(document) != _without_messages(running.saved)
        due = self._now() - running.saved_at >= MESSAGE_SECONDS
        if quick or (due and document != running.saved):
            try:
                self._client.patch_merge(CHANGES, self._namespace.name, name, {"status": document}, "status")
            except TidegateError:
                self._kept.keep(running.subject.uid, running.has.folder, progress)
                raise
            running.saved, running.saved_at = document, self._now()
            self._kept.drop(running.subject.uid, running.has.folder)

    def _announce(self, running: _Running, change: Object) -> None:
        """New lines of the timeline, as log lines and Events."""
        timeline = running.run.progress.timeline
        for number, entry in enumerate(timeline[running.announced :], running.announced):
            if number >= running.known:
                log.info("change %s: %s: %s", running.run.name, entry.kind, entry.message)
            # A predecessor's, too: it may have died between writing the status and this.
            emit(
                self._client,
                change,
                entry.kind,
                entry.message,
                rfc3339(entry.at) or "",
                warning=entry.kind in _WARNINGS,
            )
        running.announced = len(timeline)

    def _end_unstarted(self, change: Object, reason: Reason, message: str) -> None:
        """A Change that cannot be read, or was closed before its turn: why stands in its condition."""
        name = change["metadata"]["name"]
        now = self._now()
        progress = Progress(opened_at=now, stage_started_at=now)
        progress.generation = change["metadata"].get("generation")
        self._release_route(change, progress)
        progress.end(reason, now, message)
        log.warning("change %s: %s: %s", name, reason, message)
        body = {"status": progress.to_status(0)}
        self._client.patch_merge(CHANGES, self._namespace.name, name, body, "status")

    def _release_route(self, change: Object, progress: Progress) -> None:
        """A predecessor may have claimed it, and died before it could say so."""
        name = change["metadata"]["name"]
        try:
            if release(self._client, self._namespace.name, name, change["spec"]):
                progress.note(
                    progress.opened_at, "RouteReleased", "the route that it had claimed is at rest again"
                )
        except ConfigurationError as error:
            log.warning("change %s: a route that it may have claimed is left as it is: %s", name, error)

    def _check_guard(self, guard: Object) -> None:
        """Says on the Guard whether it can be used, if not, why, and which Change is under way."""
        name, generation = guard["metadata"]["name"], guard["metadata"].get("generation")
        try:
            spec = parse(GuardSpec, guard["spec"], f"Guard {name}: spec")
            problem = self._namespace.look(spec).problem
            reason, message = (
                ("TargetNotAsStated", problem) if problem else ("Accepted", "the target is as stated")
            )
            accepted = problem is None
        except ConfigurationError as error:
            accepted, reason, message = False, "Invalid", str(error)
        under_way = next((n for n, r in self._running.items() if r.run.guard_name == name), None)
        beside = self._upkeep.conditions(guard)
        key = (guard["metadata"]["uid"], accepted, reason, message, generation, under_way, beside)
        if self._guard_status.get(name) == key:
            return
        condition = {
            "type": "Accepted",
            "status": "True" if accepted else "False",
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": _since(guard, accepted) or rfc3339(self._now()),
        }
        body = {"status": {"conditions": [condition, *beside], "change": under_way}}
        try:
            self._client.patch_merge(GUARDS, self._namespace.name, name, body, "status")
            self._guard_status[name] = key
        except TidegateError as error:
            log.warning("guard %s: its status could not be written: %s", name, error)

    def _end(self, name: str) -> None:
        self._running.pop(name).run.stop()

    def _drop_all(self) -> None:
        for name in list(self._running):
            self._end(name)
        self._guard_status.clear()  # who leads meanwhile writes, too


def _fault_at(progress: Progress) -> float | None:
    """Since when a predecessor saw the fault that it rolls back for; None where nothing is rolled back."""
    decision = progress.decision
    return (decision.fault_at or decision.at) if decision else None


def _since(guard: Object, accepted: bool) -> str | None:
    """When the condition Accepted became what it still is; None where it is another now."""
    conditions = (guard.get("status") or {}).get("conditions") or []
    same = (c for c in conditions if c["type"] == "Accepted" and c["status"] == str(accepted))
    return next((c["lastTransitionTime"] for c in same), None)


def _turn_of(change: Object) -> tuple[bool, str, str]:
    """Sorts Changes: one that was begun comes before all that were not, then the older one."""
    metadata = change["metadata"]
    waits = (change.get("status") or {}).get("phase") in (None, Phase.PENDING)
    return waits, metadata["creationTimestamp"], metadata["name"]


def _finalizers(change: Object) -> list[str]:
    return list(change["metadata"].get("finalizers") or [])


def _without_messages(document: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**c, "message": ""} for c in document.get("conditions") or []]
    return {**document, "message": "", "conditions": conditions}
