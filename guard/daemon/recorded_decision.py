"""The recorded intent of a Change: what was decided, why, and when its signs were seen.

Owns its shape in `Change.status` and the round trip. Unix seconds inside, RFC 3339 outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from guard.daemon.clock import rfc3339, unix_seconds


@dataclass(frozen=True)
class Decision:
    """The recorded intent: written before acting on it.

    `sample_at` is when the deciding sample was seen, `fault_at` the fault's onset (guard.daemon.onset).
    """

    action: str
    reason: str
    message: str
    at: float
    signal: str | None = None
    sample_at: float | None = None
    fault_at: float | None = None
    abandoned: bool = False

    def to_document(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "reason": self.reason,
            "message": self.message,
            "at": rfc3339(self.at),
            "signal": self.signal,
            "sampleAt": rfc3339(self.sample_at),
            "faultAt": rfc3339(self.fault_at),
            "abandoned": self.abandoned,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Self | None:
        """What a predecessor wrote; None where it had decided nothing."""
        if not document:
            return None
        return cls(
            action=document["action"],
            reason=document["reason"],
            message=document["message"],
            at=unix_seconds(document["at"]) or 0.0,
            signal=document.get("signal"),
            sample_at=unix_seconds(document.get("sampleAt")),
            fault_at=unix_seconds(document.get("faultAt")),
            abandoned=document.get("abandoned", False),
        )
