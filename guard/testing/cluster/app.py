"""The ASGI application: an HTTP request in, the right answer out.

Owns the connection's side: bodies, faults, the request log, and turning StatusError into an answer. What
a path means is decided in `routes.py`. Requests run one after the other on the event loop, which is
enough: each takes well under a millisecond.
"""

import asyncio

from starlette.datastructures import Headers, QueryParams
from starlette.types import Message, Receive, Scope, Send

from guard.testing.cluster.connections import Connections
from guard.testing.cluster.documents import is_joint
from guard.testing.cluster.faults import Fault, Faults, Recorder
from guard.testing.cluster.replies import Reply, send_reply
from guard.testing.cluster.requests import Call
from guard.testing.cluster.routes import Routes
from guard.testing.cluster.statuses import StatusError
from guard.testing.cluster.upstream import Upstream, owned
from guard.testing.cluster.watch import Signals


async def _read(scope: Scope, receive: Receive) -> Call:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query = dict(QueryParams(scope["query_string"]))
    return Call(scope["method"], scope["path"], query, dict(Headers(scope=scope)), body)


class App:
    """The cluster as an ASGI application."""

    def __init__(
        self, routes: Routes, signals: Signals, faults: Faults, recorder: Recorder, connections: Connections
    ) -> None:
        self._routes = routes
        self._signals = signals
        self._faults = faults
        self._recorder = recorder
        self._connections = connections
        self.upstream: Upstream | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._faults.attach()
        with self._signals.attached(), self._connections.attached():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        if self.upstream is not None:
            await self.upstream.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await _read(scope, receive)
        await self._faults.running()
        fault = self._faults.take(call)
        if fault is not None and fault.kind != "error":
            await self._interrupt(fault, call, scope, receive)
            return
        reply = _failed(fault) if fault is not None else await self._reply(call)
        self._recorder.add(call, reply.code)
        await send_reply(reply, receive, self._held(send))

    def _held(self, send: Send) -> Send:
        """`send` that waits while the server is paused: open watches fall silent, too."""

        async def held(message: Message) -> None:
            await self._faults.running()
            await send(message)

        return held

    async def _interrupt(self, fault: Fault, call: Call, scope: Scope, receive: Receive) -> None:
        done = (await self._reply(call)).code if fault.kind == "lose_answer" else 0
        self._recorder.add(call, done)
        if fault.kind == "hang":
            while (await receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)
        self._connections.drop(scope)

    async def _reply(self, call: Call) -> Reply:
        try:
            if self.upstream is None:
                return self._routes.reply(call)
            return await self._shared(self.upstream, call)
        except StatusError as error:
            return Reply(error.to_json(), error.code)

    async def _shared(self, upstream: Upstream, call: Call) -> Reply:
        """The answer where another server has the custom groups."""
        if owned(call.path):
            self._routes.admit(call)
            return await upstream.reply(call)
        if is_joint(call):
            return self._routes.joint(call, await upstream.types())
        own = self._routes.reply(call)
        ended = self._routes.ended_namespace(call)
        if ended:
            await upstream.empty(ended)
        return own


def _failed(fault: Fault) -> Reply:
    reason = {429: "TooManyRequests", 503: "ServiceUnavailable", 403: "Forbidden", 401: "Unauthorized"}
    refusal = StatusError(fault.code, reason.get(fault.code, "InternalError"), "injected by the test")
    return Reply(refusal.to_json(), fault.code)
