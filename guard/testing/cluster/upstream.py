"""Another API server behind this one's address: custom groups are its, everything else is FakeCluster's.

Owns passing a request through with all that it says, watches as they come, and knowing which kinds the other
server has, for the documents in which both have a part (the list of groups, OpenAPI). Of what controllers do
in a whole cluster, only a namespace's end is done for the other server's objects: they go with it. Garbage
collection by owners is NOT done for them, and an object that a finalizer holds outlives its namespace.
"""

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx

from guard.testing.cluster import crd
from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import Reply
from guard.testing.cluster.requests import Call
from guard.testing.cluster.resources import BUILT_IN, ResourceType
from guard.testing.cluster.statuses import StatusError

DEFINITIONS_GROUP = "apiextensions.k8s.io"
_OWN_GROUPS = frozenset(row.group for row in BUILT_IN) - {DEFINITIONS_GROUP}
# Of one connection, not of the message (RFC 9110, 7.6.1), or about who asks, which this server has judged.
_HOP = frozenset(
    {
        "connection",
        "host",
        "content-length",
        "transfer-encoding",
        "keep-alive",
        "upgrade",
        "te",
        "authorization",
    }
)
_TIMEOUT = httpx.Timeout(connect=3, read=None, write=10, pool=None)  # a watch may be silent for an hour
_UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def owned(path: str) -> bool:
    """Whether the other server answers this path alone: a custom group, or the definitions."""
    parts = [part for part in path.split("/") if part]
    return len(parts) >= 2 and parts[0] == "apis" and parts[1] not in _OWN_GROUPS


class Upstream:
    """The other server, as a client that belongs to one event loop at a time.

    Args:
        context: Trusts the server, and holds a certificate that may do everything there.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._url = url
        self._context = context
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Break open requests; the next one opens a new client."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def reply(self, call: Call) -> Reply:
        """The other server's answer; where its length is not known, its body as it comes.

        Raises:
            StatusError: 503 where it does not answer.
        """
        passed = {key: value for key, value in call.headers.items() if not _stays(key)}
        answer = await self._send(call, passed)
        headers = tuple((key, v) for key, v in answer.headers.raw if key.lower().decode() not in _HOP)
        reply = Reply(code=answer.status_code, raw_headers=headers)
        if "chunked" in answer.headers.get("transfer-encoding", ""):
            return replace(reply, stream=_body(answer))
        try:
            return replace(reply, body=b"".join([chunk async for chunk in answer.aiter_raw()]))
        except httpx.HTTPError as error:
            raise _silent(str(error)) from error
        finally:
            await answer.aclose()

    async def types(self) -> list[ResourceType]:
        """What the other server serves: the definitions, and every kind that one of them has established.

        Asked anew each time. Alone, the API machinery lists no groups and publishes no schemas of custom
        kinds; in a whole API server the aggregator does, and this list is what it is needed for.
        """
        served = (crd.served_types(row) for row in await self._definitions() if _established(row))
        own = [row for row in BUILT_IN if row.group == DEFINITIONS_GROUP]
        return [*own, *(type_ for types in served for type_ in types)]

    async def empty(self, namespace: str) -> None:
        """Delete every custom object of a namespace, as the namespace controller does."""
        stored = {type_.storage: type_ for type_ in await self.types() if type_.custom and type_.namespaced}
        for type_ in stored.values():
            path = f"/apis/{type_.api_version}/namespaces/{namespace}/{type_.plural}"
            await (await self._send(Call("DELETE", path, {}, {}), {})).aclose()

    async def _definitions(self) -> list[Json]:
        call = Call("GET", f"/apis/{DEFINITIONS_GROUP}/v1/customresourcedefinitions", {}, {})
        answer = await self._send(call, {"accept": "application/json"})
        body = await answer.aread()
        if answer.status_code != 200:
            raise _silent(f"{call.path}: {answer.status_code}")
        items: list[Json] = json.loads(body)["items"]
        return items

    async def _send(self, call: Call, headers: dict[str, str]) -> httpx.Response:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._url, verify=self._context, timeout=_TIMEOUT, limits=_UNLIMITED, trust_env=False
            )
        request = self._client.build_request(
            call.method, call.path, params=dict(call.query), headers=headers, content=call.body
        )
        for name in ("user-agent", "accept-encoding", "accept"):
            if name not in headers:
                request.headers.pop(name, None)  # httpx's own; the client sent none
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _silent(str(error)) from error


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Raw, as it is encoded. One that breaks just ends: a watch is begun anew, and a list is no JSON then."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError:
        return
    finally:
        await answer.aclose()


def _stays(header: str) -> bool:
    return header in _HOP or header.startswith("impersonate-")


def _established(definition: Json) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any((row["type"], row["status"]) == ("Established", "True") for row in conditions)


def _silent(why: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", f"the API server of custom groups does not answer: {why}")
