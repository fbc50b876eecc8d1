"""The path of one request: who, what, which risk, approved by whom, allowed, recorded, run.

Owns the order, which is the promise: nothing runs before its record is on the disk, an approval is spent in
the step that records its use, and every refusal leaves one record and one alert.
"""

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from starlette.datastructures import Headers

from stack.policy import git, tests_tool
from stack.policy.alerts import Alerts
from stack.policy.approvals import Approval, Approvals
from stack.policy.audit import AuditError, AuditLog, Record
from stack.policy.calls import Call, Risk, sha256
from stack.policy.cedar import Policies
from stack.policy.config import Config
from stack.policy.executor import Executor
from stack.policy.kubectl import Kubectl
from stack.policy.principals import READER, Principal
from stack.policy.rules import Refuse, Refused, Rule
from stack.policy.state import StateError, state_hash
from stack.policy.wire import printable, read_approval_request, read_call

TOOLS = ("git", "kubectl", "tests")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_FOLDER = re.compile(r"\.|[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
# Headers by which some proxy or framework somewhere turns logging off, or a method into another.
_SUPPRESSING = ("x-audit", "x-no-audit", "x-audit-log", "x-dry-run", "x-http-method-override")
_STATUS = {
    Rule.MALFORMED: 400,
    Rule.AMBIGUOUS_JSON: 400,
    Rule.INJECTED_TEXT: 400,
    Rule.SPOOFED_PRINCIPAL: 401,
}
_BODY_SHOWN = 300
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{40,}")  # an approval that was not spent must not lie in the record


@dataclass
class Asked:
    """What is known of a request so far; what is refused is recorded with as much."""

    request_id: str
    body: bytes = b""
    principal: Principal | None = None
    call: Call | None = None
    silent: bool = False  # only a gateway that is deliberately weak can be asked for it


@dataclass(frozen=True)
class Answer:
    """An HTTP status and a JSON body."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)


class Gateway:
    """One workspace, one audit record. Thread-safe."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        """Raises AuditError, PolicyError."""
        self._config = config
        self._refuse = Refuse(config.weak_to)
        self._audit = AuditLog(config.audit_file, clock)
        self._spent = {nonce for record in self._audit.records for nonce in record.get("spent", ())}
        self._approvals = Approvals(
            config.approval_key, config.name, config.principals, config.max_ttl_seconds, clock
        )
        self._policies = Policies(config.principals, config.policy_file)
        self._kubectl = Kubectl(config.namespaces)
        self._executor = Executor(config.tools, config.workspace)
        self._alerts = Alerts(config.webhook)
        self._lock = threading.Lock()

    def call(self, headers: Headers, body: bytes) -> Answer:
        """Run a call, or refuse it."""

        def decide(asked: Asked) -> Answer:
            with self._lock:
                record = self._allow(asked, headers)
            return self._run(asked, record)

        return self._answer(headers, body, decide)

    def approve(self, headers: Headers, body: bytes) -> Answer:
        """Issue one approver's approval of a call."""
        return self._answer(headers, body, lambda asked: self._issue(asked, headers))

    def read(self, headers: Headers, what: Callable[[], dict[str, Any]]) -> Answer:
        """Show something to a reader."""

        def show(asked: Asked) -> Answer:
            asked.principal = self._config.principals.authenticate(headers, self._refuse)
            if READER not in asked.principal.roles:
                raise Refused(Rule.NOT_ALLOWED, f"{asked.principal.name} is no reader")
            return Answer(200, what())

        return self._answer(headers, b"", show)

    def refuse(self, headers: Headers, rule: Rule, reason: str, body: bytes = b"") -> Answer:
        """Refuse what cannot even be asked."""

        def refuse(asked: Asked) -> Answer:
            raise Refused(rule, reason)

        return self._answer(headers, body, refuse)

    def whoami(self, headers: Headers) -> Answer:
        def show(asked: Asked) -> Answer:
            asked.principal = self._config.principals.authenticate(headers, self._refuse)
            roles = sorted(asked.principal.roles)
            return Answer(
                200, {"principal": asked.principal.name, "roles": roles, "gateway": self._config.name}
            )

        return self._answer(headers, b"", show)

    def audit_page(self, after: int, limit: int) -> dict[str, Any]:
        records = self._audit.records
        return {"records": records[after : after + limit]}

    def alerts_page(self, after: int, limit: int) -> dict[str, Any]:
        return {"alerts": self._alerts.after(after, limit)}

    def state(self) -> dict[str, Any]:
        config = self._config
        found = state_hash(config.workspace, self._executor, config.namespaces, config.watched)
        ends = {"records": len(self._audit.records), "alerts": self._alerts.count}
        return {"runs": self._executor.runs, "hash": found} | ends

    def health(self) -> Answer:
        """Whether calls can be served at all; not whether every tool is there."""
        weak = sorted(self._config.weak_to)
        try:
            self._audit.check()
        except AuditError as error:
            return Answer(503, {"status": "the audit record cannot be written", "reason": str(error)})
        return Answer(200, {"status": "ok", "weak_to": weak, "deny_all": self._config.deny_all})

    def close(self) -> None:
        self._alerts.close()
        self._executor.close()

    def _answer(self, headers: Headers, body: bytes, serve: Callable[[Asked], Answer]) -> Answer:
        given = headers.getlist("x-request-id")
        usable = len(given) == 1 and _REQUEST_ID.fullmatch(given[0])
        asked = Asked(given[0] if usable else uuid.uuid4().hex, body)
        try:
            try:
                if given and not usable:
                    raise Refused(
                        Rule.MALFORMED, "x-request-id: expected one of at most 100 plain characters"
                    )
                self._refuse_suppression(asked, headers)
                return serve(asked)
            except Refused as refused:
                return self._deny(asked, refused)
        except AuditError as error:
            return self._unrecorded(asked, f"denied, because it cannot be recorded: {error}", "deny")
        except StateError as error:
            return Answer(503, {"reason": str(error)})

    def _refuse_suppression(self, asked: Asked, headers: Headers) -> None:
        for name in _SUPPRESSING:
            if name in headers:
                self._refuse(Rule.AUDIT_SUPPRESSION, f"the header {name} asks for less than a whole record")
                asked.silent = True

    def _allow(self, asked: Asked, headers: Headers) -> Record:
        """Decide, and record that it may run. The caller holds the lock."""
        asked.principal = principal = self._config.principals.authenticate(headers, self._refuse)
        written, tokens = read_call(asked.body, self._refuse)
        asked.call = call = self._plain(written)
        if self._config.deny_all:
            raise Refused(Rule.DENY_ALL, "this gateway denies everything")
        # A call that is not as it was written is a weak gateway's: its tables have no row for what was.
        risk = self._risk(call) if call == written else Risk.R0
        approvals = self._approvals.verify(tokens, call, principal, self._spent, self._refuse)
        policies = self._ask_policies(principal, risk, call, approvals)
        record = self._audit.append(
            kind="allow",
            request_id=asked.request_id,
            principal=principal.name,
            call=call.to_json(),
            risk=str(risk),
            policies=list(policies),
            approvers=sorted({approval.approver for approval in approvals}),
            spent=[approval.nonce for approval in approvals],
        )
        self._spent.update(record["spent"])
        if Rule.AMBIGUOUS_JSON in self._config.weak_to:  # what runs is read anew, and otherwise
            asked.call, _ = read_call(asked.body, self._refuse, last=False)
        return record

    def _plain(self, call: Call) -> Call:
        """The call with its tool and folder as they are written in the rules."""
        call = printable(call)
        if call.tool not in TOOLS:
            near = call.tool.strip().casefold().rpartition("/")[2]
            rule = Rule.DISGUISED_NAME if near in TOOLS else Rule.NOT_ALLOWED
            self._refuse(rule, f"{call.tool!r}: there are the tools {', '.join(TOOLS)}")
            call = replace(call, tool=near)
        inside = _FOLDER.fullmatch(call.cwd) and self._is_inside(call.cwd)
        if not inside:
            self._refuse(Rule.WORKING_FOLDER, f"{call.cwd!r} is no folder of the workspace")
        folder = self._config.workspace / call.cwd
        if inside and call.tool == "git" and git.work_tree(folder, self._config.workspace) is None:
            self._refuse(Rule.WORKING_FOLDER, f"{call.cwd!r} is in no git repository of the workspace")
        return call

    def _is_inside(self, cwd: str) -> bool:
        """A folder, reached without a link."""
        path = self._config.workspace / cwd
        try:
            return path.is_dir() and path.resolve() == path
        except OSError:  # a name that no file system takes
            return False

    def _risk(self, call: Call) -> Risk:
        match call.tool:
            case "git":
                return git.risk(call.argv, self._refuse)
            case "kubectl":
                return self._kubectl.risk(call.argv, self._refuse)
            case _:
                return tests_tool.risk(call.argv, self._config.tools.tests, self._refuse)

    def _ask_policies(
        self, principal: Principal, risk: Risk, call: Call, approvals: list[Approval]
    ) -> tuple[str, ...]:
        approvers = {approval.approver for approval in approvals}
        ruling = self._policies.decide(principal.name, risk, call.tool, approvers)
        if not ruling.allowed:
            named = f" (policy {', '.join(ruling.policies)})" if ruling.policies else ""
            self._refuse(
                Rule.TOO_FEW_APPROVALS if approvers else Rule.NO_APPROVAL,
                f"{principal.name} may not: {risk} with {len(approvers)} approvals{named}",
            )
        return ruling.policies

    def _run(self, asked: Asked, record: Record) -> Answer:
        assert asked.call is not None
        outcome = self._executor.run(asked.call)
        end = {"of": record["seq"], "exit_code": outcome.exit_code, "timed_out": outcome.timed_out}
        try:
            self._audit.append(kind="result", request_id=asked.request_id, **end)
        except AuditError as error:
            return self._unrecorded(asked, f"it ran, and its end could not be recorded: {error}", "allow")
        answer = {"decision": "allow", "risk": record["risk"], "request_id": asked.request_id}
        return Answer(200, answer | {"audit_seq": record["seq"]} | asdict(outcome))

    def _issue(self, asked: Asked, headers: Headers) -> Answer:
        asked.principal = approver = self._config.principals.authenticate(headers, self._refuse)
        call, requester, ttl = read_approval_request(asked.body, self._refuse)
        asked.call = call = self._plain(call)
        approval, text = self._approvals.issue(approver, call, requester, ttl, self._refuse)
        self._audit.append(
            kind="approval",
            request_id=asked.request_id,
            principal=approver.name,
            requester=requester,
            call=call.to_json(),
            nonce=approval.nonce,
            expires_at=f"{approval.expires_at:.3f}",
        )
        return Answer(
            201, {"approval": text, "expires_at": approval.expires_at, "request_id": asked.request_id}
        )

    def _deny(self, asked: Asked, refused: Refused) -> Answer:
        answer = {"decision": "deny", "rule": str(refused.rule), "reason": str(refused)}
        answer["request_id"] = asked.request_id
        if not asked.silent:
            record = self._audit.append(**_of_denied(asked, refused))
            self._alerts.raise_for(record)
        return Answer(_STATUS.get(refused.rule, 403), answer)

    def _unrecorded(self, asked: Asked, reason: str, decision: str) -> Answer:
        """No record, no action. That itself is worth an alert."""
        fields = _of_denied(asked, Refused(Rule.NOT_ALLOWED, reason))
        self._alerts.raise_for(fields | {"seq": 0, "at": "", "rule": "audit-unavailable"})
        return Answer(503, {"decision": decision, "rule": "audit-unavailable", "reason": reason})


def _of_denied(asked: Asked, refused: Refused) -> dict[str, Any]:
    return {
        "kind": "deny",
        "request_id": asked.request_id,
        "principal": asked.principal.name if asked.principal else None,
        "call": asked.call.to_json() if asked.call else None,
        "rule": str(refused.rule),
        "reason": str(refused)[:2000],
        "body_sha256": sha256(asked.body),
        "body_start": _shown(asked.body) if asked.call is None else "",
    }


def _shown(body: bytes) -> str:
    return _TOKEN.sub("[...]", body.decode("utf-8", "replace"))[:_BODY_SHOWN]
