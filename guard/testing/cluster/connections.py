"""Open connections, so that tests can break them: uvicorn itself cannot drop one without an answer."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connections:
    """Knows the transport of every open connection, and refuses new ones while `cut`."""

    def __init__(self) -> None:
        self.refusing = False
        self._open: dict[Any, asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attached = threading.Event()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Belong to the running loop while the block lasts."""
        self._loop = asyncio.get_running_loop()
        self._attached.set()
        try:
            yield
        finally:
            self._attached.clear()
            self._loop = None

    def wait_attached(self) -> None:
        """Wait until the server's loop runs.

        Raises:
            TimeoutError: It does not come up.
        """
        if not self._attached.wait(30):
            raise TimeoutError("the server did not start within 30 s")

    def protocol(self) -> type[H11Protocol]:
        """uvicorn's HTTP/1.1 protocol, reporting its connections here."""
        connections = self

        class Protocol(H11Protocol):
            def connection_made(self, transport: Any) -> None:
                # asyncio does this only for sockets made with an explicit protocol number; without it
                # every answer waits 40 ms for the client's delayed acknowledgement.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)
                connections._open[self.client] = transport
                if connections.refusing:
                    transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                connections._open.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol

    def drop(self, scope: Scope) -> None:
        """Break the connection of one request; call it from the loop."""
        transport = self._open.get(tuple(scope["client"]))
        if transport is not None:
            transport.abort()

    def drop_all(self) -> None:
        """Break every open connection; callable from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for transport in list(self._open.values()):
            transport.abort()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Break all connections, and each new one, while the block lasts."""
        self.refusing = True
        self.drop_all()
        try:
            yield
        finally:
            self.refusing = False
