"""One Change under way in this process: its run, its object on the API, its evidence, its kept rollback.

Owns one turn of it: what an operator asks for now, the run's tick, then what is kept and said of it. Refuses
to know whose turn it is, and what a tick does.
"""

import logging
from collections.abc import Callable

from guard.adapters.kubernetes.client import KubernetesClient, Object
from guard.api.change import ChangeSpec, frozen_digest
from guard.api.fields import parse
from guard.core.change import Intent, Phase
from guard.daemon.act import Actor
from guard.daemon.change_object import ChangeObject
from guard.daemon.change_run import ChangeRun
from guard.daemon.equipment import Equipment
from guard.daemon.kept_rollback import KeptRollbacks
from guard.daemon.measure import Measurements
from guard.daemon.observe import Namespace
from guard.daemon.operator import who
from guard.daemon.progress import Progress
from guard.daemon.record import Subject
from guard.errors import ConfigurationError, TidegateError

log = logging.getLogger("tidegate.guard")


class Running:
    """Call `turn` at each tick; once its run is finished `write_evidence`, `save`, `let_go` and `stop`.

    Attributes:
        equipped_at: Unix seconds at which somebody looked last whether it has all that it needs.
        recalled: It was rolling back already, and its status does not say so yet: `save` it first.
    """

    def __init__(
        self,
        client: KubernetesClient,
        namespace: Namespace,
        subject: Subject,
        has: Equipment,
        progress: Progress,
        kept: KeptRollbacks,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        spec, guard = subject.spec, subject.spec.plan.guard
        self.subject, self.has = subject, has
        self.equipped_at = now()
        self._kept, self._now = kept, now
        actor = Actor(client, namespace.name, subject.name, spec.plan)
        self.recalled = kept.recall(subject.uid, has.folder, progress, now(), actor.promoted)
        self._object = ChangeObject(client, namespace.name, subject.name, now, len(progress.timeline))
        progress.spec_digest = progress.spec_digest or frozen_digest(spec)
        targets = has.targets(namespace, subject)
        self.run = ChangeRun(
            subject.name,
            spec,
            progress,
            look=lambda: has.records.saw(namespace.look(guard)),
            actor=actor,
            measurements=Measurements(
                client, namespace.name, guard, targets, wake, log_since=_fault_at(progress)
            ),
            start_suite=has.records.start_suite,
            save=self._save,
            api_key=has.api_key,
        )

    def turn(self, change: Object) -> None:
        """One tick of an unfinished run, then what is kept and said of it."""
        progress = self.run.progress
        if not self.run.finished:  # closing is tried again; the Change's end stands
            self._work(change)
        self.has.records.keep(self.run)
        if progress.phase is not Phase.PENDING and self.run.enforces and not self.run.finished:
            self._object.hold(change)
        self._object.announce(progress, change)

    def _work(self, change: Object) -> None:
        """One tick, with what an operator asks for now."""
        self._compare_spec(change)
        action = change["spec"].get("action")
        progress = self.run.progress
        if action and action != progress.asked:
            progress.note(self._now(), f"Operator{action}", f"{action}, asked for by {who(change)}")
        progress.asked = action
        self.run.intent = Intent(action) if action else None
        if change["metadata"].get("deletionTimestamp"):
            self.run.intent = Intent.CLOSE
        self.run.tick()

    def _compare_spec(self, change: Object) -> None:
        """Whether the Change still asks for what it began with: an API without CEL lets anyone edit it."""
        run, generation = self.run, change["metadata"].get("generation")
        if generation is not None and generation == run.progress.generation:
            return
        run.progress.generation = generation
        try:
            spec = parse(ChangeSpec, change["spec"], f"Change {run.name}: spec")
            run.edited = frozen_digest(spec) != run.progress.spec_digest
        except ConfigurationError:
            run.edited = True

    def save(self) -> None:
        """Its status, where that has changed; what the API does not take of a rollback is kept."""
        self._save(self.run.progress)

    def _save(self, progress: Progress) -> None:
        uid, folder = self.subject.uid, self.has.folder
        try:
            if self._object.save(progress, len(self.subject.spec.plan.guard.steps)):
                self._kept.drop(uid, folder)
        except TidegateError:
            self._kept.keep(uid, folder, progress)
            raise

    def write_evidence(self) -> None:
        """Once. A full disk or a fault in a report must not keep a Change from ending."""
        progress = self.run.progress
        if progress.evidence is not None:
            return
        try:
            progress.evidence, progress.evidence_digest = self.has.records.finish(self.run)
        except Exception as error:
            log.exception("change %s: its evidence could not be written", self.run.name)
            progress.evidence = f"not written: {type(error).__name__}: {error}"

    def let_go(self) -> None:
        """The object may be deleted now."""
        self._object.let_go()

    def stop(self) -> None:
        """Ends what it measures; leaves the cluster as it is."""
        self.run.stop()


def _fault_at(progress: Progress) -> float | None:
    """Since when a predecessor saw the fault that it rolls back for; None where nothing is rolled back."""
    decision = progress.decision
    return (decision.fault_at or decision.at) if decision else None
