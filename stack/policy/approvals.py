"""Approvals: one approver's word for one exact call of one requester, once, for minutes.

Owns the form (`payload.signature`, both base64url; HMAC-SHA256 under the gateway's key) and what makes one
good. Whether good ones are enough for a risk is the policies' to say. A spent approval stays spent after a
restart: its nonce stands in the audit record.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stack.policy.calls import Call, canonical
from stack.policy.principals import APPROVER, Principal, Principals
from stack.policy.rules import Refuse, Refused, Rule

_PURPOSE = b"policy-gateway approval v1\n"  # a signature for anything else is none for this


@dataclass(frozen=True)
class Approval:
    """What the signature is over. Times are Unix seconds of the gateway's clock."""

    digest: str
    requester: str
    approver: str
    nonce: str
    expires_at: float


class Approvals:
    """Issues and verifies; keeps no approval."""

    def __init__(
        self,
        key: bytes,
        gateway: str,
        principals: Principals,
        max_ttl_seconds: int,
        clock: Callable[[], float],
    ) -> None:
        self._key = key
        self._gateway = gateway
        self._principals = principals
        self._max_ttl_seconds = max_ttl_seconds
        self._clock = clock

    def issue(
        self, approver: Principal, call: Call, requester: str, ttl_seconds: int, refuse: Refuse
    ) -> tuple[Approval, str]:
        """A new approval, and its text for the requester.

        Raises:
            Refused: The principal approves nothing, or asks for itself; no such requester; too long a life.
        """
        if APPROVER not in approver.roles:
            refuse(Rule.SELF_GIVEN_APPROVAL, f"{approver.name} is no approver")
        if requester == approver.name:
            refuse(Rule.SELF_GIVEN_APPROVAL, f"{approver.name} may not approve its own call")
        if self._principals.get(requester) is None:
            raise Refused(Rule.MALFORMED, f"requester: nobody is called {requester!r}")
        if ttl_seconds > self._max_ttl_seconds:
            raise Refused(Rule.MALFORMED, f"ttl_seconds: at most {self._max_ttl_seconds}")
        approval = Approval(
            call.digest(requester, self._gateway),
            requester,
            approver.name,
            secrets.token_hex(16),
            self._clock() + ttl_seconds,
        )
        payload = canonical(asdict(approval))
        return approval, f"{_encode(payload)}.{_encode(self._sign(payload))}"

    def verify(
        self,
        tokens: Sequence[str],
        call: Call,
        requester: Principal,
        spent: Collection[str],
        refuse: Refuse,
    ) -> list[Approval]:
        """The approvals, every one of them good for this call; the same one given twice counts once.

        Raises:
            Refused: One of them is not good. It is not passed over: a good one beside it is no excuse.
        """
        digest = call.digest(requester.name, self._gateway)
        found = {}
        for token in tokens:
            approval = self._read(token, refuse)
            self._check(approval, digest, requester, spent, refuse)
            found[approval.nonce] = approval
        return list(found.values())

    def _check(
        self,
        approval: Approval,
        digest: str,
        requester: Principal,
        spent: Collection[str],
        refuse: Refuse,
    ) -> None:
        approver = self._principals.get(approval.approver)
        if approver is None or APPROVER not in approver.roles:
            refuse(Rule.SELF_GIVEN_APPROVAL, f"{approval.approver!r} is no approver")
        if approval.approver == requester.name:
            refuse(Rule.SELF_GIVEN_APPROVAL, f"{requester.name} approved its own call")
        if approval.requester != requester.name:
            refuse(Rule.BORROWED_APPROVAL, f"approved for {approval.requester!r}, used by {requester.name}")
        elif approval.digest != digest:
            refuse(Rule.SWAPPED_ARGUMENT, "the approval is for another call")
        if approval.expires_at <= self._clock():
            refuse(Rule.EXPIRED_APPROVAL, f"the approval expired at {approval.expires_at:.3f}")
        if approval.nonce in spent:
            refuse(Rule.REPLAYED_APPROVAL, f"the approval {approval.nonce} was used before")

    def _read(self, token: str, refuse: Refuse) -> Approval:
        body, _, signature = token.partition(".")
        try:
            payload, signed = _decode(body), _decode(signature)
        except (ValueError, binascii.Error) as error:
            raise Refused(Rule.FORGED_APPROVAL, "not an approval of this gateway") from error
        if not hmac.compare_digest(self._sign(payload), signed):
            refuse(Rule.FORGED_APPROVAL, "the approval's signature is not this gateway's")
        try:
            return _approval(json.loads(payload))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(Rule.FORGED_APPROVAL, "not an approval of this gateway") from error

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + payload, hashlib.sha256)


def _approval(document: dict[str, Any]) -> Approval:
    digest, requester, approver, nonce = (
        str(document[name]) for name in ("digest", "requester", "approver", "nonce")
    )
    return Approval(digest, requester, approver, nonce, float(document["expires_at"]))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Strict: one text for one value, so that no second spelling of an approval exists."""
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
