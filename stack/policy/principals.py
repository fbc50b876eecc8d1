"""Who asks: a bearer token in the one Authorization header, and nothing else.

Owns the comparison of tokens. An identity that is claimed in any other way (a proxy's header, a key of the
body) is refused rather than ignored: whoever sends one believes that it works somewhere.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from stack.policy.rules import Refuse, Refused, Rule

REQUESTER, APPROVER, READER = "requester", "approver", "reader"
ROLES = (REQUESTER, APPROVER, READER)
_CLAIMS = (
    "x-principal",
    "x-user",
    "x-forwarded-user",
    "x-remote-user",
    "x-auth-request-user",
    "x-original-user",
    "impersonate-user",
)


@dataclass(frozen=True)
class Principal:
    """One caller. Its token shows in no `repr`."""

    name: str
    roles: frozenset[str]
    token: str = field(repr=False)


class Principals:
    """All who may ask."""

    def __init__(self, known: Sequence[Principal]) -> None:
        self._known = {principal.name: principal for principal in known}

    def get(self, name: str) -> Principal | None:
        return self._known.get(name)

    def __iter__(self) -> Iterator[Principal]:
        return iter(self._known.values())

    def authenticate(self, headers: Headers, refuse: Refuse) -> Principal:
        """Who sent the request.

        Raises:
            Refused: No token, more than one, an unknown one, or an identity claimed beside it.
        """
        claimed = next((headers[name] for name in _CLAIMS if name in headers), None)
        if claimed is not None:
            refuse(Rule.SPOOFED_PRINCIPAL, f"a header claims to be {claimed!r}; only the token counts")
            return self._known.get(claimed) or self._of_token(headers)
        return self._of_token(headers)

    def _of_token(self, headers: Headers) -> Principal:
        given = headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        found = None
        for principal in self._known.values():  # all of them: the time must not tell which one was near
            if hmac.compare_digest(principal.token.encode(), token.encode("utf-8", "surrogateescape")):
                found = principal
        if scheme.lower() != "bearer" or found is None:
            what = f"{len(given)} Authorization headers" if len(given) != 1 else "no known bearer token"
            raise Refused(Rule.SPOOFED_PRINCIPAL, what)
        return found
