"""Who leads: one Lease, renewed while its holder lives.

The official client's leader election is not used: it elects two leaders when the server hangs. Here a
holder that could not renew for two thirds of the lease's duration stops leading by its own clock, before
anyone else may begin.
"""

import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from guard.adapters.kubernetes.client import LEASES, KubernetesClient, Object
from guard.errors import ConflictError, NotFoundError, TidegateError

DURATION_SECONDS = 9
RENEW_SECONDS = 2.0

log = logging.getLogger("tidegate.guard")


class Lease:
    """Call `hold()` on every tick; it talks to the server only when a renewal is due.

    The holder's identity is `replica` and a random part, as in client-go: two processes of one host,
    or one restarted beside its predecessor, are two candidates. `error` says why the last try failed.
    """

    def __init__(self, client: KubernetesClient, namespace: str, name: str, replica: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = f"{replica}_{uuid.uuid4()}"
        self._renewed_at: float | None = None
        self._tried_at = float("-inf")
        self.error: TidegateError | None = None
        self._seen: tuple[str, float] | None = None  # another holder's renewTime, and when we first saw it

    def hold(self) -> bool:
        """Whether this process leads now."""
        now = time.monotonic()
        if now - self._tried_at >= RENEW_SECONDS:
            self._tried_at = now
            try:
                if self._take(now):
                    self._renewed_at = now
                self.error = None
            except TidegateError as error:  # not renewed; leadership then ends by the clock below
                self._tell(error)
        return self._renewed_at is not None and now - self._renewed_at < DURATION_SECONDS * 2 / 3

    def _tell(self, error: TidegateError) -> None:
        """Once: a guard that may not use the Lease never leads, and nobody would know why."""
        if str(error) != str(self.error):
            log.warning("the lease %s cannot be taken or renewed: %s", self._name, error)
        self.error = error

    def release(self) -> None:
        """Lets a successor begin at once. Never raises: the lease runs out anyway."""
        if self._renewed_at is None:
            return
        try:
            lease = self._client.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                self._client.replace(LEASES, self._namespace, self._name, lease)
        except TidegateError:
            pass
        self._renewed_at = None

    def _take(self, now: float) -> bool:
        try:
            lease = self._client.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            return self._create()
        if not self._free(lease["spec"], now):
            self._renewed_at = None
            return False
        if lease["spec"].get("holderIdentity") != self._identity:
            lease["spec"]["leaseTransitions"] = lease["spec"].get("leaseTransitions", 0) + 1
            lease["spec"]["acquireTime"] = _micro_time()
        lease["spec"] |= self._spec()
        try:
            self._client.replace(LEASES, self._namespace, self._name, lease)
        except ConflictError:
            return False
        return True

    def _free(self, spec: Object, now: float) -> bool:
        """Ours, given up, or not renewed for its duration by *our* clock: clocks of two nodes may differ."""
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return True
        renewed = spec.get("renewTime") or ""
        if self._seen is None or self._seen[0] != renewed:
            self._seen = (renewed, now)
        return now - self._seen[1] > (spec.get("leaseDurationSeconds") or DURATION_SECONDS)

    def _create(self) -> bool:
        metadata = {"name": self._name, "namespace": self._namespace}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {**self._spec(), "acquireTime": _micro_time(), "leaseTransitions": 0},
        }
        try:
            self._client.create(LEASES, self._namespace, body)
        except ConflictError:
            return False
        return True

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": _micro_time(),
        }


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
