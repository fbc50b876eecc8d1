"""Whom a Guard's notifications go to, and what is known of their arrival.

Owns a destination for each webhook, what goes to which, and the condition `Notified`. Refuses to know how a
message is sent and what it says. Nothing here waits: destinations have threads of their own.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from guard.adapters.kubernetes.client import KubernetesClient, Object
from guard.adapters.kubernetes.secrets import read_secret
from guard.adapters.metrics import Metrics
from guard.adapters.notify.bodies import BODIES
from guard.adapters.notify.webhook import Destination, Failure
from guard.api.guard import Notification as Wanted
from guard.core.notification import Notification
from guard.daemon.clock import rfc3339

CONDITION = "Notified"


@dataclass
class _State:
    """The condition of one Guard as it was last said."""

    key: tuple[str, str, str]
    at: float


class Notifier:
    """The webhooks of one namespace's Guards."""

    def __init__(self, client: KubernetesClient, namespace: str, metrics: Metrics) -> None:
        self._client, self._namespace, self._metrics = client, namespace, metrics
        self._destinations: dict[tuple[str, str, str], Destination] = {}
        self._states: dict[str, _State] = {}
        self._named: dict[str, set[tuple[str, str]]] = {}

    def keep(self, wanted: Mapping[str, tuple[Wanted, ...]], there: Collection[str]) -> None:
        """Ends the destinations that no Guard names any more, with what is queued for them.

        Args:
            wanted: By Guard, what its spec says now; a Guard that cannot be read is left as it was.
            there: Every Guard of the namespace.
        """
        for guard, ones in wanted.items():
            references = (one.webhook.secret_ref for one in ones)
            self._named[guard] = {(reference.name, reference.key) for reference in references}
        for guard in self._named.keys() - set(there):
            del self._named[guard]
            self._states.pop(guard, None)
        for identity in list(self._destinations):
            if identity[1:] not in self._named.get(identity[0], ()):
                self._destinations.pop(identity).stop()

    def tell(self, wanted: tuple[Wanted, ...], notification: Notification) -> None:
        """Queues it for every webhook that asked for this event."""
        for one in wanted:
            if notification.event in one.events:
                secret = one.webhook.secret_ref
                destination = self._destination(notification.guard, secret.name, secret.key)
                destination.send(BODIES[one.format](notification))

    def condition(self, guard: Object, now: float) -> Mapping[str, Any] | None:
        """`Notified`: False when the last message to some webhook was given up. None: nothing is known.

        What an earlier guard has said stands until this one has sent something, or the Guard does not name
        the webhook any more of which it was said.
        """
        name = guard["metadata"]["name"]
        mine = [found for (owner, *_), found in self._destinations.items() if owner == name]
        failed = [found for found in mine if found.failure is not None]
        if not failed and not any(found.delivered for found in mine):
            return None if name in self._states else self._earlier(guard)
        key = _failed(failed[0]) if failed else ("True", "Delivered", "the last notifications have arrived")
        if name not in self._states or self._states[name].key[0] != key[0]:
            self._states[name] = _State(key, now)
        self._states[name].key = key
        return {
            "type": CONDITION,
            "status": key[0],
            "reason": key[1],
            "message": key[2],
            "observedGeneration": guard["metadata"].get("generation"),
            "lastTransitionTime": rfc3339(self._states[name].at),
        }

    def _earlier(self, guard: Object) -> Mapping[str, Any] | None:
        name, conditions = guard["metadata"]["name"], (guard.get("status") or {}).get("conditions") or []
        known = next((condition for condition in conditions if condition["type"] == CONDITION), None)
        if known is None or name not in self._named:
            return known
        shown = tuple(f"{_shown(name, secret)}: " for secret, _ in self._named[name])
        of_ours = known.get("status") == "True" or str(known.get("message")).startswith(shown)
        return known if shown and of_ours else None

    def settle(self, seconds: float) -> None:
        """Gives what is under way some time to arrive, and ends the rest."""
        deadline = time.monotonic() + seconds
        for destination in self._destinations.values():
            destination.settle(max(0.0, deadline - time.monotonic()))
            destination.stop()
        self._destinations.clear()

    def _destination(self, guard: str, secret: str, key: str) -> Destination:
        identity = (guard, secret, key)
        if identity not in self._destinations:
            self._destinations[identity] = Destination(
                _shown(guard, secret),
                partial(read_secret, self._client, self._namespace, secret, key),
                lambda failure: self._metrics.webhook_failed(self._namespace, guard, failure.reason),
            )
        return self._destinations[identity]


def _shown(guard: str, secret: str) -> str:
    return f"guard {guard}, Secret {secret}"


def _failed(destination: Destination) -> tuple[str, str, str]:
    failure: Failure | None = destination.failure
    if failure is None:  # it has succeeded since
        return "True", "Delivered", "the last notifications have arrived"
    return "False", failure.reason, f"{destination.name}: {failure.message}"
