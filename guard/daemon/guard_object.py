"""The Guards as they stand on the API: whether each can be used, which Change is under way, what was good.

Owns the status of a Guard, written where it differs from what was last written. Refuses to judge a Change.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guard.adapters.kubernetes.client import GUARDS, KubernetesClient, Object
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.daemon.clock import rfc3339
from guard.daemon.observe import Namespace
from guard.errors import ConfigurationError, NotFoundError, TidegateError

log = logging.getLogger("tidegate.guard")


class GuardObjects:
    """All of one namespace."""

    def __init__(self, client: KubernetesClient, namespace: Namespace, now: Callable[[], float]) -> None:
        self._client, self._namespace, self._now = client, namespace, now
        self._written: dict[str, Any] = {}

    def forget(self) -> None:
        """Who leads meanwhile writes, too."""
        self._written.clear()

    def check(self, guard: Object, under_way: str | None, beside: Sequence[Mapping[str, Any]]) -> None:
        """Says on the Guard whether it can be used, if not, why, and which Change is under way.

        Args:
            beside: Other conditions of it.
        """
        name, generation = guard["metadata"]["name"], guard["metadata"].get("generation")
        accepted, reason, message = self._accepted(guard)
        key = (guard["metadata"]["uid"], accepted, reason, message, generation, under_way, beside)
        if self._written.get(name) == key:
            return
        condition = {
            "type": "Accepted",
            "status": "True" if accepted else "False",
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": _since(guard, accepted) or rfc3339(self._now()),
        }
        try:
            self._write(name, {"conditions": [condition, *beside], "change": under_way})
            self._written[name] = key
        except TidegateError as error:
            log.warning("guard %s: its status could not be written: %s", name, error)

    def _accepted(self, guard: Object) -> tuple[bool, str, str]:
        """Whether it can be used, with reason and message."""
        try:
            spec = parse(GuardSpec, guard["spec"], f"Guard {guard['metadata']['name']}: spec")
        except ConfigurationError as error:
            return False, "Invalid", str(error)
        problem = self._namespace.look(spec).problem
        return (
            (False, "TargetNotAsStated", problem)
            if problem
            else (True, "Accepted", "the target is as stated")
        )

    def last_known_good(self, name: str) -> dict[str, Any] | None:
        """What a Guard's status says of it now; None where nothing was promoted yet."""
        found = next((g for g in self._namespace.guards if g["metadata"]["name"] == name), {})
        return (found.get("status") or {}).get("lastKnownGood")

    def record_last_known_good(self, change: Object) -> None:
        """What a promoted Change has brought; a Guard that is gone is logged."""
        name, plan = change["spec"]["guard"], change["spec"]["plan"]
        good = {
            "change": change["metadata"]["name"],
            "digest": plan["digest"],
            "podTemplate": plan["canaryTemplate"],
            "recordedAt": rfc3339(self._now()),
        }
        try:
            self._write(name, {"lastKnownGood": good})
        except NotFoundError:
            log.warning("guard %s is gone: its last known good is not recorded", name)

    def _write(self, name: str, status: dict[str, Any]) -> None:
        self._client.patch_merge(GUARDS, self._namespace.name, name, {"status": status}, "status")


def _since(guard: Object, accepted: bool) -> str | None:
    """When the condition Accepted became what it still is; None where it is another now."""
    conditions = (guard.get("status") or {}).get("conditions") or []
    same = (c for c in conditions if c["type"] == "Accepted" and c["status"] == str(accepted))
    return next((c["lastTransitionTime"] for c in same), None)
