"""What an attempt is made with: a gateway, and one request id for everything that belongs to it.

An attempt is a generator: what it does before its first `yield` prepares (good calls, approvals), what comes
next is the attack and is watched by the oracle, and what comes after a second `yield` cleans up.
"""

import json
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from guard.adapters.policy.gateway import Answer, Call, Caller, PolicyGateway
from guard.errors import TidegateError

Steps = Generator[None, None, None]
JSON_TYPE = ("content-type", "application/json")
TTL_SECONDS = 120


class CannotPrepare(TidegateError):
    """The gateway refuses what an attempt needs first; the attempt says nothing of it then."""


@dataclass
class Bench:
    """One attempt's view of the gateway.

    Attributes:
        cwd: The folder of the workspace that is a git repository.
        requests: How many requests the attack sends.
        good: How many of them may pass.
        mark: A text that no other attempt uses: names made by an attempt begin so, and can be recognised.
    """

    gateway: PolicyGateway
    cwd: str
    request_id: str = field(default_factory=lambda: f"tidegate-{uuid.uuid4().hex}")
    mark: str = field(default_factory=lambda: f"tidegate-policy-{uuid.uuid4().hex[:8]}")
    requests: int = 1
    good: int = 0

    def git(self, *argv: str) -> Call:
        return Call("git", argv, self.cwd)

    @property
    def change(self) -> Call:
        """An R2 call that harms nobody: a new tag."""
        return self.git("tag", self.mark)

    @property
    def removal(self) -> Call:
        """An R3 call that harms nobody: the same tag is deleted."""
        return self.git("tag", "-d", self.mark)

    def approval(
        self,
        call: Call,
        *,
        requester: Caller = Caller.AGENT,
        by: Caller = Caller.APPROVER,
        ttl_seconds: int = TTL_SECONDS,
    ) -> str:
        """A good approval. Raises CannotPrepare."""
        answer = self.gateway.approve(
            call,
            requester=self.gateway.name_of(requester),
            caller=by,
            ttl_seconds=ttl_seconds,
            request_id=_other_id(),
        )
        if answer.approval is None:
            raise CannotPrepare(f"an approver's approval was refused: {answer.reason}")
        return answer.approval

    def two_approvals(self, call: Call) -> list[str]:
        return [self.approval(call, by=caller) for caller in (Caller.APPROVER, Caller.SECOND_APPROVER)]

    def good_call(self, call: Call, approvals: Sequence[str] = ()) -> Answer:
        """A call that is no part of the attack."""
        return self.gateway.call(call, approvals=approvals, request_id=_other_id())

    def clean(self) -> None:
        """Delete the tag, if it is there."""
        self.good_call(self.removal, self.two_approvals(self.removal))

    # The attack: from here on everything carries the attempt's request id.

    def call(self, call: Call, approvals: Sequence[str] = (), caller: Caller = Caller.AGENT) -> Answer:
        return self.gateway.call(call, caller=caller, approvals=approvals, request_id=self.request_id)

    def ask_approval(self, call: Call, *, requester: str, caller: Caller) -> Answer:
        """Ask for an approval that must not be given."""
        return self.gateway.approve(
            call, requester=requester, caller=caller, ttl_seconds=TTL_SECONDS, request_id=self.request_id
        )

    def send(
        self,
        body: bytes | dict[str, object],
        *headers: tuple[str, str],
        path: str = "/v1/calls",
        method: str = "POST",
        caller: Caller | None = Caller.AGENT,
        kind: tuple[str, str] = JSON_TYPE,
    ) -> Answer:
        """Bytes as they are, or an object as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        who = [] if caller is None else [self.gateway.authorization(caller)]
        return self.gateway.send(
            raw, headers=[*who, kind, *headers], path=path, method=method, request_id=self.request_id
        )

    def body(self, call: Call, **more: object) -> dict[str, object]:
        """The call as its JSON object, with more keys."""
        document: dict[str, object] = json.loads(self.gateway.encode(call))
        return document | more


def _other_id() -> str:
    return f"tidegate-aside-{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Attempt:
    """One row of the table.

    Attributes:
        reads: It only reads what the agent may read anyway, where it is understood in one way; a gateway may
            run it as well as refuse it. What must not be is a change.
    """

    name: str
    steps: Callable[[Bench], Steps]
    reads: bool = False
