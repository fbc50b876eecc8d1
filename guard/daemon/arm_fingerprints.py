"""What each arm says that it is, asked once while a Change runs: the fingerprints before and after it.

Owns asking aside, so that a runtime that hangs never holds a decision up, and asking again after silence.
Refuses to compare.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from guard.adapters.endpoint import Endpoint
from guard.core.fingerprint import Fingerprint
from guard.core.samples import Arm
from guard.errors import TidegateError

RETRY_SECONDS = 15.0  # arbitrary: a runtime that is starting takes longer, and one call is cheap

Read = Callable[[Endpoint, str], Fingerprint]


class ArmFingerprints:
    """Call `ask` as often as endpoints are looked at; `known` fills by itself."""

    def __init__(
        self, model: str, read: Read, templates: Mapping[Arm, Mapping[str, Any]], version: str
    ) -> None:
        self.known: dict[Arm, Fingerprint] = {}
        self._model, self._read, self._templates, self._version = model, read, templates, version
        self._asked_at: dict[Arm, float] = {}
        self._asking: dict[Arm, threading.Thread] = {}

    def ask(self, targets: Mapping[Arm, list[Endpoint]], now: float) -> None:
        """Ask each arm that has not answered yet, at its first endpoint; never waits."""
        for arm, endpoints in targets.items():
            due = now - self._asked_at.get(arm, float("-inf")) >= RETRY_SECONDS
            busy = arm in self._asking and self._asking[arm].is_alive()
            if endpoints and due and not busy and arm not in self.known:
                self._asked_at[arm] = now
                arguments = (arm, endpoints[0], len(endpoints))
                self._asking[arm] = threading.Thread(target=self._ask, args=arguments, daemon=True)
                self._asking[arm].start()

    def wait(self, seconds: float) -> None:
        """For answers that are on their way; so many seconds for all of them together."""
        deadline = time.monotonic() + seconds
        for thread in self._asking.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _ask(self, arm: Arm, endpoint: Endpoint, replicas: int) -> None:
        try:
            found = self._read(endpoint, self._model)
        except TidegateError:
            return  # unknown, until it answers
        self.known[arm] = replace(
            found,
            image_digest=_image_digest(self._templates[arm]),
            suite_version=self._version,
            replicas=replicas,
        )


def _image_digest(template: Mapping[str, Any]) -> str | None:
    """Of the first container, where its image is named by digest."""
    containers = (template.get("spec") or {}).get("containers") or [{}]
    _, at, digest = str(containers[0].get("image", "")).partition("@")
    return digest if at else None
