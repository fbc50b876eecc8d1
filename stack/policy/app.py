"""The gateway over HTTP.

| | |
|---|---|
| `POST /v1/calls` | `{"tool", "argv", "cwd", "approvals"}`: run it, or 4xx with `rule` and `reason` |
| `POST /v1/approvals` | `{"tool", "argv", "cwd", "requester", "ttl_seconds"}`, by an approver: a text |
| `GET /v1/audit?after=N`, `/v1/alerts?after=N`, `/v1/state` | for readers |
| `GET /v1/whoami`, `/health` | whose token this is; whether calls can be served |

Owns routing and the bound on a body. Every answer is ASCII JSON, whatever the caller's text was. A request
may carry `x-request-id`; its records and alerts have it, too.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stack.policy.calls import canonical
from stack.policy.gateway import Answer, Gateway
from stack.policy.rules import Rule
from stack.policy.wire import MAX_BODY_BYTES

_PAGE = 500
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def make_app(gateway: Gateway) -> Starlette:
    """The ASGI application; the caller closes the gateway."""

    async def endpoint(request: Request) -> Response:
        body, url = await _body(request), request.url
        answer = await run_in_threadpool(
            answer_to, gateway, request.method, url.path, url.query, request.headers, body
        )
        return Response(canonical(answer.body), answer.status, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=_METHODS)])


def answer_to(gateway: Gateway, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
    """The answer to one request. A body of more than MAX_BODY_BYTES may be cut anywhere behind them."""
    pages: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "/v1/audit": gateway.audit_page,
        "/v1/alerts": gateway.alerts_page,
        "/v1/state": lambda after, limit: gateway.state(),
    }
    match method, path:
        case "POST", "/v1/calls" | "/v1/approvals":
            if fault := _fault(query, headers, body):
                return gateway.refuse(headers, Rule.MALFORMED, fault, body)
            serve = gateway.call if path == "/v1/calls" else gateway.approve
            return serve(headers, body)
        case "GET", _ if path in pages:
            return gateway.read(headers, lambda: pages[path](_number(query), _PAGE))
        case _, _ if path in pages:
            return gateway.refuse(headers, Rule.AUDIT_SUPPRESSION, f"{method} {path}: can only be read", body)
        case "GET", "/v1/whoami":
            return gateway.whoami(headers)
        case "GET", "/health":
            return gateway.health()
        case _:
            return Answer(404, {"reason": f"{method} {path}: there is no such thing here"})


async def _body(request: Request) -> bytes:
    """The body, or one byte more than is allowed of it."""
    read = b""
    async for chunk in request.stream():
        read += chunk[: MAX_BODY_BYTES + 1 - len(read)]
    return read


def _fault(query: str, headers: Headers, body: bytes) -> str | None:
    if len(body) > MAX_BODY_BYTES:
        return f"the body has more than {MAX_BODY_BYTES} bytes"
    if query:
        return "a call has no query"
    kinds = headers.getlist("content-type")
    if kinds not in (["application/json"], ["application/json; charset=utf-8"]):
        return f"content-type {kinds}: expected application/json"
    return "no content-encoding is read" if "content-encoding" in headers else None


def _number(query: str) -> int:
    after = parse_qs(query).get("after", ["0"])[0]
    return int(after) if after.isascii() and after.isdigit() and len(after) < 12 else 0
