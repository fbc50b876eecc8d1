"""Lists, in one piece or in chunks that all show the same revision."""

import base64
import binascii
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping

from guard.testing.cluster.objects import Json
from guard.testing.cluster.requests import number
from guard.testing.cluster.resources import ResourceType
from guard.testing.cluster.selectors import selector
from guard.testing.cluster.statuses import (
    StatusError,
    bad_request,
    expired,
    future_revision,
    match_without_revision,
)
from guard.testing.cluster.store import Store

SNAPSHOTS = 64  # unfinished chunked lists kept; arbitrary, an older one answers 410 as after five minutes

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter."
)


class Lists:
    """Answers list requests; remembers the rest of those that a `limit` cut short."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rest: OrderedDict[str, tuple[list[Json], int]] = OrderedDict()

    def forget(self) -> None:
        """Make continue tokens of older revisions too old, as compaction does."""
        current = self._store.revision
        for token in [token for token, (_, revision) in self._rest.items() if revision < current]:
            del self._rest[token]

    def page(self, type_: ResourceType, namespace: str, query: Mapping[str, str]) -> tuple[list[Json], Json]:
        """Objects and the list's metadata."""
        limit, token = number(query, "limit"), query.get("continue", "")
        items, revision = self._resumed(token) if token else self._fresh(type_, namespace, query)
        if not limit or len(items) <= limit:
            return items, {"resourceVersion": str(revision)}
        head, rest = items[:limit], items[limit:]
        fields: Json = {"resourceVersion": str(revision), "continue": self._remember(rest, revision)}
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            fields["remainingItemCount"] = len(rest)
        return head, fields

    def _fresh(self, type_: ResourceType, namespace: str, query: Mapping[str, str]) -> tuple[list[Json], int]:
        wanted = number(query, "resourceVersion") or 0
        if query.get("resourceVersionMatch") and not query.get("resourceVersion"):
            raise match_without_revision()
        with self._store.lock:
            if wanted > self._store.revision:
                raise future_revision(wanted, self._store.revision)
            found, revision = self._store.all(type_.storage, namespace), self._store.revision
        matches = selector(type_, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        return [item for item in found if matches(item)], revision

    def _remember(self, rest: list[Json], revision: int) -> str:
        identifier = secrets.token_hex(8)
        self._rest[identifier] = (rest, revision)
        while len(self._rest) > SNAPSHOTS:
            self._rest.popitem(last=False)
        return base64.urlsafe_b64encode(
            json.dumps({"v": "meta.k8s.io/v1", "id": identifier}).encode()
        ).decode()

    def _resumed(self, token: str) -> tuple[list[Json], int]:
        try:
            identifier = str(json.loads(base64.urlsafe_b64decode(token))["id"])
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise bad_request("continue key is not valid") from error
        if identifier not in self._rest:
            raise _too_old()
        return self._rest[identifier]


def _too_old() -> StatusError:
    return expired(_TOO_OLD)
