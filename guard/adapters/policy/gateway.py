"""How suites/policy reaches a policy gateway: the one file to replace for a gateway of one's own.

A gateway takes calls of tools from an agent, asks for approvals, runs what is allowed, keeps an audit record
and raises alerts. `PolicyGateway` is all that the suite needs of one; `HttpGateway` is that for the reference
gateway of `stack/policy`. For another, write a class with the same methods and a function like `connect`,
install it where Tidegate runs, and name the function in the configuration:

    suites:
      - {name: policy, adapter: "my_company.gateway:connect"}

Owns the translation of a gateway's words into answers, records and alerts. Refuses to judge them.
"""

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import httpx

from guard.adapters.endpoint import Endpoint, Timeouts, explain, open_client
from guard.core.text import one_line
from guard.errors import ConfigurationError, NotFoundError, UnauthorizedError, UnreachableError

_TIMEOUTS = Timeouts(connect=5.0, read=30.0, total=30.0)
_LONGEST_TEXT = 300


class Caller(StrEnum):
    """Who sends a request: the agent, or one of two people who approve (and who may call tools, too)."""

    AGENT = "agent"
    APPROVER = "approver"
    SECOND_APPROVER = "second-approver"


# The environment variable with each caller's token: a secret stands in no file and no command line.
TOKEN_VARIABLES = {
    Caller.AGENT: "TIDEGATE_POLICY_AGENT_TOKEN",
    Caller.APPROVER: "TIDEGATE_POLICY_APPROVER_TOKEN",
    Caller.SECOND_APPROVER: "TIDEGATE_POLICY_SECOND_APPROVER_TOKEN",
}


@dataclass(frozen=True)
class Call:
    """A tool's call: `argv` without the program, `cwd` a folder of the gateway's workspace."""

    tool: str
    argv: tuple[str, ...]
    cwd: str = "."


@dataclass(frozen=True)
class Answer:
    """What the gateway said. The texts are others': hostile, cut short.

    Attributes:
        allowed: The call was handed to the executor, or the approval issued.
        exit_code: Of the tool; None where it was not run to its end.
        approval: The text of an issued approval.
    """

    allowed: bool
    exit_code: int | None = None
    output: str = ""
    reason: str = ""
    approval: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Mark:
    """How things stand: executor's runs, a hash over the backends' state, ends of the record and alerts."""

    runs: int
    state: str
    records: int
    alerts: int


@dataclass(frozen=True)
class Record:
    """One audit record. `kind`: `allow`, `deny`, or anything else that the gateway writes down."""

    kind: str
    request_id: str


class PolicyGateway(Protocol):
    """What the suite needs. A method raises a `TidegateError` when the gateway breaks, never for a denial.

    A denial is an answer: 4xx. No answer, 5xx, or one that cannot be read is a gateway that is broken, and
    must raise: else a dead gateway would look like one that blocks everything.
    """

    def name_of(self, caller: Caller) -> str:
        """The gateway's name for a caller, as a requester of an approval."""

    def call(
        self, call: Call, *, caller: Caller = Caller.AGENT, approvals: Sequence[str] = (), request_id: str
    ) -> Answer:
        """Ask for a call. The audit record and the alert must carry `request_id`."""

    def approve(
        self, call: Call, *, requester: str, caller: Caller, ttl_seconds: int, request_id: str
    ) -> Answer:
        """Ask for an approval of exactly this call by this requester."""

    def send(
        self, body: bytes, *, headers: Sequence[tuple[str, str]], path: str, method: str, request_id: str
    ) -> Answer:
        """Send these very bytes, for attempts below the form of a call; no header but `headers`.

        A gateway that does not speak HTTP and JSON raises NotImplementedError; such attempts are left out.
        """

    def authorization(self, caller: Caller) -> tuple[str, str]:
        """The header by which `send` is a caller."""

    def encode(self, call: Call, approvals: Sequence[str] = ()) -> bytes:
        """The body that `call` would send."""

    def mark(self) -> Mark:
        """How things stand now."""

    def records(self, since: Mark) -> Sequence[Record]:
        """Audit records written since."""

    def alerts(self, since: Mark) -> Sequence[str]:
        """The request ids of alerts raised since."""

    def close(self) -> None: ...


Connect = Callable[[str, Mapping[Caller, str], str | None], PolicyGateway]


def read_tokens(environment: Mapping[str, str] | None = None) -> dict[Caller, str]:
    """Every caller's token.

    Raises:
        ConfigurationError: A variable is missing or empty; names it.
    """
    found = os.environ if environment is None else environment
    missing = [name for name in TOKEN_VARIABLES.values() if not found.get(name)]
    if missing:
        raise ConfigurationError(f"--policy-gateway: set {', '.join(missing)} to the callers' tokens")
    return {caller: found[name] for caller, name in TOKEN_VARIABLES.items()}


def load_adapter(name: str) -> Connect:
    """The function that `module:function` names.

    Raises:
        ConfigurationError: There is none.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"suites: policy: adapter {name!r}: {error}") from error
    if not callable(found):
        raise ConfigurationError(f"suites: policy: adapter {name!r}: not a function")
    connect: Connect = found
    return connect


def connect(url: str, tokens: Mapping[Caller, str], ca_file: str | None = None) -> PolicyGateway:
    """The reference gateway at a URL.

    Raises:
        UnreachableError: It does not answer, or is not in order.
        UnauthorizedError: It does not know a token.
    """
    gateway = HttpGateway(url, tokens, ca_file)
    try:
        gateway.open()
    except BaseException:
        gateway.close()
        raise
    return gateway


class HttpGateway:
    """The gateway of `stack/policy`; its interface is described in stack/policy/app.py."""

    def __init__(self, url: str, tokens: Mapping[Caller, str], ca_file: str | None = None) -> None:
        self.url = Endpoint.parse(url, ca_file=ca_file).url
        self._tokens = tokens
        self._names: dict[Caller, str] = {}
        self._http = open_client(Endpoint(self.url, ca_file=ca_file), _TIMEOUTS)

    def open(self) -> None:
        """See whether it is in order and knows the callers; raises as `connect`."""
        status, document = self._exchange("GET", "/health")
        if status != 200 or document.get("status") != "ok":
            raise UnreachableError(f"policy gateway {self.url}: {_text(document, 'status')}")
        for caller in Caller:
            status, document = self._exchange("GET", "/v1/whoami", [self.authorization(caller)])
            if status in (401, 403):
                variable = TOKEN_VARIABLES[caller]
                raise UnauthorizedError(f"policy gateway {self.url}: does not know the token of {variable}")
            self._names[caller] = _text(self._expected(status, document, 200), "principal")

    def close(self) -> None:
        self._http.close()

    def name_of(self, caller: Caller) -> str:
        return self._names[caller]

    def authorization(self, caller: Caller) -> tuple[str, str]:
        return ("authorization", f"Bearer {self._tokens[caller]}")

    def encode(self, call: Call, approvals: Sequence[str] = ()) -> bytes:
        return json.dumps(_document(call) | {"approvals": list(approvals)}).encode()

    def call(
        self, call: Call, *, caller: Caller = Caller.AGENT, approvals: Sequence[str] = (), request_id: str
    ) -> Answer:
        return self._post("/v1/calls", self.encode(call, approvals), caller, request_id)

    def approve(
        self, call: Call, *, requester: str, caller: Caller, ttl_seconds: int, request_id: str
    ) -> Answer:
        document = _document(call) | {"requester": requester, "ttl_seconds": ttl_seconds}
        return self._post("/v1/approvals", json.dumps(document).encode(), caller, request_id)

    def send(
        self, body: bytes, *, headers: Sequence[tuple[str, str]], path: str, method: str, request_id: str
    ) -> Answer:
        return _answer(*self._exchange(method, path, [*headers, ("x-request-id", request_id)], body))

    def mark(self) -> Mark:
        state = self._read("/v1/state")
        try:
            return Mark(int(state["runs"]), str(state["hash"]), int(state["records"]), int(state["alerts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(f"policy gateway {self.url}: its state cannot be read: {error}") from error

    def records(self, since: Mark) -> Sequence[Record]:
        found = self._read(f"/v1/audit?after={since.records}").get("records", [])
        return [Record(str(row.get("kind")), str(row.get("request_id"))) for row in found]

    def alerts(self, since: Mark) -> Sequence[str]:
        found = self._read(f"/v1/alerts?after={since.alerts}").get("alerts", [])
        return [str(row.get("request_id")) for row in found]

    def _post(self, path: str, body: bytes, caller: Caller, request_id: str) -> Answer:
        headers = [self.authorization(caller), ("content-type", "application/json")]
        return self.send(body, headers=headers, path=path, method="POST", request_id=request_id)

    def _read(self, path: str) -> Mapping[str, Any]:
        return self._expected(*self._exchange("GET", path, [self.authorization(Caller.APPROVER)]), 200)

    def _expected(self, status: int, document: Mapping[str, Any], wanted: int) -> Mapping[str, Any]:
        if status == 404:
            raise NotFoundError(f"{self.url} answers 404: is this the URL of a policy gateway?")
        if status != wanted:
            reason = _text(document, "reason")
            raise UnreachableError(f"policy gateway {self.url} answers {status}: {reason}")
        return document

    def _exchange(
        self, method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object. Raises UnreachableError for no answer, 5xx, or another kind of answer."""
        try:
            response = self._http.request(method, path, headers=[*headers], content=body)
        except httpx.TransportError as error:
            raise UnreachableError(f"policy gateway: {explain(error, self.url)}") from error
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        if response.status_code >= 500:
            reason = _text(document, "reason") if isinstance(document, dict) else "an internal error"
            raise UnreachableError(f"policy gateway {self.url} answers {response.status_code}: {reason}")
        if not isinstance(document, dict) and response.status_code not in (404, 405):
            raise UnreachableError(f"policy gateway {self.url} answers, but not with a JSON object")
        return response.status_code, document if isinstance(document, dict) else {}


def _document(call: Call) -> dict[str, Any]:
    return {"tool": call.tool, "argv": list(call.argv), "cwd": call.cwd}


def _answer(status: int, document: Mapping[str, Any]) -> Answer:
    approval, code = document.get("approval"), document.get("exit_code")
    return Answer(
        200 <= status < 300,
        code if isinstance(code, int) else None,
        _text(document, "stdout") or _text(document, "stderr"),
        _text(document, "reason"),
        approval if isinstance(approval, str) else None,
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    """On one visible line: it is shown in reasons and on terminals."""
    return one_line(str(document.get(key) or ""), _LONGEST_TEXT)
