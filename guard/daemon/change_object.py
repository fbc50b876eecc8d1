"""A Change as it stands on the API: its status, its Events, its finalizer, and its end without a start.

Owns what is written to the object and when: a status only where it differs from the last one, each line of
the timeline once. Refuses to know why a Change is where it is. Every method may be repeated.
"""

import logging
from collections.abc import Callable
from typing import Any

from guard.adapters.kubernetes.client import CHANGES, KubernetesClient, Object
from guard.adapters.kubernetes.events import emit
from guard.core.change import Intent, Phase, Reason
from guard.daemon.act import release
from guard.daemon.clock import rfc3339
from guard.daemon.progress import QUEUED, Progress
from guard.errors import ConfigurationError

MESSAGE_SECONDS = 10.0
FINALIZER = "tidegate.dev/traffic"
_WARNINGS = frozenset({Reason.ROLLED_BACK, Reason.REFUSED, Reason.ABANDONED, "ActionFailed"})

log = logging.getLogger("tidegate.guard")


class ChangeObject:
    """One Change's; `known` counts the lines of its timeline that a predecessor wrote, and has logged."""

    def __init__(
        self, client: KubernetesClient, namespace: str, name: str, now: Callable[[], float], known: int = 0
    ) -> None:
        self._client, self._namespace, self._name, self._now = client, namespace, name, now
        self._known = known
        self._saved: dict[str, Any] = {}
        self._saved_at = 0.0
        self._announced = 0

    def save(self, progress: Progress, steps: int) -> bool:
        """Patches the status where it differs from what was last written; whether it did."""
        if progress.ended is not None and progress.evidence is None:
            return False  # finished is written once, with the evidence
        document = progress.to_status(steps)
        # A message alone counts time down: written at every tick it would wake its own writer.
        quick = _without_messages(document) != _without_messages(self._saved)
        due = self._now() - self._saved_at >= MESSAGE_SECONDS
        if not quick and not (due and document != self._saved):
            return False
        self._write(document)
        self._saved, self._saved_at = document, self._now()
        return True

    def announce(self, progress: Progress, change: Object) -> None:
        """New lines of the timeline, as log lines and Events."""
        for number, entry in enumerate(progress.timeline[self._announced :], self._announced):
            if number >= self._known:
                log.info("change %s: %s: %s", self._name, entry.kind, entry.message)
            # A predecessor's, too: it may have died between writing the status and this.
            emit(
                self._client,
                change,
                entry.kind,
                entry.message,
                rfc3339(entry.at) or "",
                warning=entry.kind in _WARNINGS,
            )
        self._announced = len(progress.timeline)

    def hold(self, change: Object) -> None:
        """A finalizer while users may be on the canary: a deleted Change still returns their traffic."""
        if FINALIZER not in finalizers(change) and not change["metadata"].get("deletionTimestamp"):
            self._set_finalizers([*finalizers(change), FINALIZER])

    def let_go(self) -> None:
        """Without our finalizer, by a fresh read."""
        current = self._client.get(CHANGES, self._namespace, self._name)
        if FINALIZER in finalizers(current):
            self._set_finalizers([f for f in finalizers(current) if f != FINALIZER])

    def queue(self, change: Object, ahead: str) -> bool:
        """Says once what a Change waits for; whether it was closed meanwhile, and so ended without a turn."""
        status = change.get("status") or {}
        if status.get("phase") not in (None, Phase.PENDING):
            return False  # another guard had begun it
        if change["spec"].get("action") == Intent.CLOSE:
            self.end_unstarted(change, Reason.ABANDONED, "closed by an operator")
            return True
        message = f"waits for change/{ahead}"
        if (status.get("reason"), status.get("message")) != (QUEUED, message):
            now = self._now()
            progress = Progress(opened_at=now, generation=change["metadata"].get("generation"))
            progress.enter(Phase.PENDING, now, QUEUED, message)
            self._write(progress.to_status(len(change["spec"]["plan"]["guard"].get("steps") or [])))
        return False

    def end_unstarted(self, change: Object, reason: Reason, message: str) -> None:
        """One that cannot be read, or was closed before its turn: why stands in its condition."""
        now = self._now()
        generation = change["metadata"].get("generation")
        progress = Progress(opened_at=now, stage_started_at=now, generation=generation)
        self._release_route(change, progress)
        progress.end(reason, now, message)
        log.warning("change %s: %s: %s", self._name, reason, message)
        self._write(progress.to_status(0))

    def _release_route(self, change: Object, progress: Progress) -> None:
        """A predecessor may have claimed it, and died before it could say so."""
        try:
            if release(self._client, self._namespace, self._name, change["spec"]):
                message = "the route that it had claimed is at rest again"
                progress.note(progress.opened_at, "RouteReleased", message)
        except ConfigurationError as error:
            log.warning("change %s: a route that it may have claimed is left as it is: %s", self._name, error)

    def _write(self, status: dict[str, Any]) -> None:
        self._client.patch_merge(CHANGES, self._namespace, self._name, {"status": status}, "status")

    def _set_finalizers(self, wanted: list[str]) -> None:
        body = {"metadata": {"finalizers": wanted}}
        self._client.patch_merge(CHANGES, self._namespace, self._name, body)


def finalizers(change: Object) -> list[str]:
    return list(change["metadata"].get("finalizers") or [])


def _without_messages(document: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**c, "message": ""} for c in document.get("conditions") or []]
    return {**document, "message": "", "conditions": conditions}
