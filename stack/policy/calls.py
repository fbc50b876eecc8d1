"""A call of a tool, its risk, and the digest that an approval is bound to."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Risk(StrEnum):
    """R0 reads here, R1 reads elsewhere or computes, R2 changes what can be changed back, R3 destroys."""

    R0 = "R0"
    R1 = "R1"
    R2 = "R2"
    R3 = "R3"


@dataclass(frozen=True)
class Call:
    """Exactly what is to be run: no shell, `argv` without the program, `cwd` inside the workspace."""

    tool: str
    argv: tuple[str, ...]
    cwd: str = "."

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"argv": list(self.argv)}

    def digest(self, requester: str, gateway: str) -> str:
        """SHA-256 over the call, who asks for it and the gateway's name: what an approver approves."""
        return sha256(canonical(self.to_json() | {"requester": requester, "gateway": gateway}))


def canonical(document: dict[str, Any]) -> bytes:
    """One spelling for one document: keys sorted, ASCII, no blanks."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
