"""Alerts: one for each denied request, listed and, where a webhook is named, sent.

Owns delivery: beside the request, a few times, within a bound. What cannot be delivered stays listed as such;
no decision waits for it.
"""

import contextlib
import json
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from queue import Full, Queue
from typing import Any

_KEPT = 10_000
_WAITING = 1_000
_TRIES = 3
_TIMEOUT_SECONDS = 5.0


class Alerts:
    """Newest last. `close` ends the delivery, within some seconds."""

    def __init__(self, webhook: str | None = None) -> None:
        self._webhook = webhook
        self._count = 0
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._queue: Queue[dict[str, Any] | None] = Queue(_WAITING)
        self._thread = threading.Thread(target=self._deliver_all, daemon=True, name="alerts")
        if webhook is not None:
            self._thread.start()

    def raise_for(self, record: Mapping[str, Any]) -> None:
        """Alert about one deny record."""
        shown = ("seq", "at", "request_id", "principal", "rule", "reason", "call")
        with self._lock:
            self._count += 1
            alert = {"id": self._count, "delivery": "no webhook"}
            alert |= {f"audit_{name}" if name == "seq" else name: record[name] for name in shown}
            self._kept.append(alert)
        if self._webhook is not None:
            alert["delivery"] = "pending"
            try:
                self._queue.put_nowait(alert)
            except Full:
                alert["delivery"] = "failed: too many are waiting"

    def after(self, number: int, limit: int) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(alert) for alert in self._kept if alert["id"] > number][:limit]

    def close(self) -> None:
        if self._webhook is not None:
            with contextlib.suppress(Full):
                self._queue.put_nowait(None)
            self._thread.join(_TIMEOUT_SECONDS)

    @property
    def count(self) -> int:
        return self._count

    def _deliver_all(self) -> None:
        while (alert := self._queue.get()) is not None:
            for tried in range(_TRIES):
                time.sleep(tried)
                failure = self._deliver(alert)
                alert["delivery"] = "delivered" if failure is None else f"failed: {failure}"
                if failure is None:
                    break

    def _deliver(self, alert: Mapping[str, Any]) -> str | None:
        body = {key: value for key, value in alert.items() if key != "delivery"}
        request = urllib.request.Request(
            str(self._webhook), json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
                return None
        except Exception as error:  # whatever is answered there: the next alert is still delivered
            return f"{type(error).__name__}: {error}"[:200]
