"""The gateway over HTTP.

| | |
|---|---|
| `POST /v1/calls` | `{"tool", "argv", "cwd", "approvals"}`: run it, or 4xx with `rule` and `reason` |
| `POST /v1/approvals` | `{"tool", "argv", "cwd", "requester", "ttl_seconds"}`, by an approver: a text |
| `GET /v1/audit?after=N`, `/v1/alerts?after=N`, `/v1/state` | for readers |
| `GET /v1/whoami`, `/health` | whose token this is; whether calls can be served |

Owns routing and the bound on a body. Every answer is ASCII JSON, whatever the caller's text was.
"""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stack.policy.calls import canonical
from stack.policy.gateway import Answer, Gateway
from stack.policy.rules import Rule
from stack.policy.wire import MAX_BODY_BYTES

_PAGE = 500
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Serve = Callable[..., Answer]


def make_app(gateway: Gateway) -> Starlette:
    """The ASGI application; the caller closes the gateway."""

    def asking(serve: Serve) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            if fault := _fault(request, body):
                return _response(await run_in_threadpool(gateway.refuse, request.headers, *fault, body))
            return _response(await run_in_threadpool(serve, request.headers, body))

        return endpoint

    def reading(page: Callable[[int, int], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.method != "GET":
                refused = (Rule.AUDIT_SUPPRESSION, f"{request.method} {request.url.path}: can only be read")
                return _response(await run_in_threadpool(gateway.refuse, request.headers, *refused))
            after = request.query_params.get("after", "0")
            number = int(after) if after.isascii() and after.isdigit() and len(after) < 12 else 0
            return _response(
                await run_in_threadpool(gateway.read, request.headers, lambda: page(number, _PAGE))
            )

        return endpoint

    async def whoami(request: Request) -> Response:
        return _response(await run_in_threadpool(gateway.whoami, request.headers))

    async def health(request: Request) -> Response:
        return _response(gateway.health())

    return Starlette(
        routes=[
            Route("/v1/calls", asking(gateway.call), methods=["POST"]),
            Route("/v1/approvals", asking(gateway.approve), methods=["POST"]),
            Route("/v1/audit", reading(gateway.audit_page), methods=_METHODS),
            Route("/v1/alerts", reading(gateway.alerts_page), methods=_METHODS),
            Route("/v1/state", reading(lambda after, limit: gateway.state()), methods=_METHODS),
            Route("/v1/whoami", whoami),
            Route("/health", health),
        ]
    )


async def _body(request: Request) -> bytes:
    """The body, or one byte more than is allowed of it."""
    read = b""
    async for chunk in request.stream():
        read += chunk[: MAX_BODY_BYTES + 1 - len(read)]
    return read


def _fault(request: Request, body: bytes) -> tuple[Rule, str] | None:
    if len(body) > MAX_BODY_BYTES:
        return Rule.MALFORMED, f"the body has more than {MAX_BODY_BYTES} bytes"
    if request.url.query:
        return Rule.MALFORMED, "a call has no query"
    kinds = request.headers.getlist("content-type")
    if kinds not in (["application/json"], ["application/json; charset=utf-8"]):
        return Rule.MALFORMED, f"content-type {kinds}: expected application/json"
    if "content-encoding" in request.headers:
        return Rule.MALFORMED, "no content-encoding is read"
    return None


def _response(answer: Answer) -> Response:
    return Response(canonical(answer.body), answer.status, media_type="application/json")
