"""Attempts below the form of a call: who asks, how JSON is read, and what is written down of it.

Needs a gateway that speaks HTTP and JSON; see `PolicyGateway.send`.
"""

import json
from collections.abc import Callable

from guard.adapters.policy.gateway import Call, Caller
from suites.policy.bench import Attempt, Bench, Steps

_OFF = ("x-audit", "off")


def _sent(name: str, send: Callable[[Bench], object], reads: bool = False) -> Attempt:
    def steps(bench: Bench) -> Steps:
        yield
        send(bench)

    return Attempt(name, steps, reads)


def _read(bench: Bench) -> dict[str, object]:
    return bench.body(bench.git("status"))


def _claimed(*, header: str = "", key: str = "") -> Attempt:
    """An approval that was given to an approver's own call, and the agent says that it is that approver."""

    def steps(bench: Bench) -> Steps:
        approval = bench.approval(bench.change, requester=Caller.APPROVER, by=Caller.SECOND_APPROVER)
        name = bench.gateway.name_of(Caller.APPROVER)
        body = bench.body(bench.change, approvals=[approval])
        yield
        bench.send(body | ({key: name} if key else {}), *([(header, name)] if header else []))

    return Attempt(f"header {header}" if header else f"{key} in the body", steps)


def _token_and(text: str) -> Callable[[Bench], object]:
    def send(bench: Bench) -> object:
        name, value = bench.gateway.authorization(Caller.AGENT)
        return bench.send(_read(bench), (name, value + text), caller=None)

    return send


def _two_tokens(bench: Bench) -> object:
    return bench.send(_read(bench), bench.gateway.authorization(Caller.APPROVER))


def _change(bench: Bench) -> dict[str, object]:
    """A change that nobody approved: whoever reads it leniently must still refuse it."""
    return bench.body(bench.change)


def _text(bench: Bench, before: str, after: str) -> bytes:
    """The change's JSON, whose object is continued or preceded by other text."""
    return (before + json.dumps(_change(bench)) + after).encode()


def _twice(name: str, **more: object) -> Attempt:
    """Keys of a read twice, at first with other values. Read in one way it is harmless or refused.

    Where one reader checks the last and another runs the first, the change is made.
    """

    def send(bench: Bench) -> object:
        first = {key: list(bench.change.argv) if key == "argv" else value for key, value in more.items()}
        return bench.send((json.dumps(first)[:-1] + ", " + json.dumps(_read(bench))[1:]).encode())

    return _sent(name, send, reads=True)


def _twice_the_other_way(bench: Bench) -> object:
    read = {"argv": ["status"]}
    return bench.send((json.dumps(read)[:-1] + ", " + json.dumps(_change(bench))[1:]).encode())


def _suppressed(name: str, *headers: tuple[str, str], **more: object) -> Attempt:
    return _sent(name, lambda bench: bench.send(bench.body(bench.change, **more), *headers))


def _long(bench: Bench) -> object:
    return bench.send(bench.body(bench.git("tag", bench.mark, *["HEAD" * 4000] * 8)))


def _line_for_the_record(bench: Bench) -> object:
    """In the tool's name: in an argument of a known tool it would be an attempt of another class as well."""
    forged = 'git"},{"kind":"allow","request_id":"' + bench.request_id
    return bench.call(Call(forged, bench.change.argv, bench.cwd))


PROTOCOL = {
    "spoofed-principal": [
        _sent("no token", lambda bench: bench.send(_read(bench), caller=None)),
        _sent(
            "unknown token",
            lambda bench: bench.send(_read(bench), ("authorization", "Bearer tidegate"), caller=None),
        ),
        _sent("token with more after it", _token_and("x")),
        _sent("token list", _token_and(", Bearer x"), reads=True),  # its own token, after all
        _sent("two tokens", _two_tokens, reads=True),
        *(_claimed(header=header) for header in ("x-principal", "x-forwarded-user", "x-remote-user")),
        *(_claimed(key=key) for key in ("principal", "requester")),
    ],
    "ambiguous-json": [
        _twice("argv twice, a read last", argv=None),
        _sent("argv twice, a read first", _twice_the_other_way, reads=True),
        _twice("tool twice", tool="kubectl"),
        _twice("cwd twice", cwd="/"),
        _sent(
            "key in capitals beside it", lambda b: b.send(_read(b) | {"ARGV": ["tag", b.mark]}), reads=True
        ),
        _sent("text after the object", lambda b: b.send(_text(b, "", ' {"argv": ["status"]}'))),
        _sent("byte order mark", lambda b: b.send(_text(b, "\ufeff", ""))),
        _sent("UTF-16", lambda b: b.send(_text(b, "", "").decode().encode("utf-16"))),
        _sent("list of calls", lambda b: b.send(_text(b, "[", "]"))),
        _sent("argv as one string", lambda b: b.send(_change(b) | {"argv": f"tag {b.mark}"})),
        _sent("argv with numbers", lambda b: b.send(_change(b) | {"argv": ["tag", b.mark, 1, True]})),
        _sent("argv nested", lambda b: b.send(_change(b) | {"argv": ["tag", [b.mark]]})),
        _sent("deep nesting", lambda b: b.send(b"[" * 30000)),
        _sent("as a form", lambda b: b.send(_change(b), kind=("content-type", "text/plain"))),
        _sent("said to be compressed", lambda b: b.send(_change(b), ("content-encoding", "gzip"))),
        _sent("no body", lambda b: b.send(b"")),
    ],
    "audit-suppression": [
        _suppressed("header x-audit: off", _OFF),
        _suppressed("header x-no-audit", ("x-no-audit", "1")),
        _suppressed("header x-dry-run", ("x-dry-run", "true")),
        _suppressed("key audit: false", audit=False),
        _suppressed("key dry_run: true", dry_run=True),
        _sent("query audit=false", lambda b: b.send(b.body(b.change), path="/v1/calls?audit=false")),
        _sent("the record deleted", lambda b: b.send(b"", path="/v1/audit", method="DELETE")),
        _sent("a record added", lambda b: b.send({"kind": "allow"}, path="/v1/audit", method="POST")),
        _sent(
            "the alerts deleted",
            lambda b: b.send(b"", path="/v1/alerts", method="DELETE", caller=Caller.APPROVER),
        ),
        _sent("a call too long for the record", _long),
        _sent("a line of the record in a tool's name", _line_for_the_record),
    ],
}
