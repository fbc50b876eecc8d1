"""The HTTP server under the doubles: uvicorn that ends when told, not when it next looks.

Owns how a double's server is asked to end. Refuses to know what it serves.
"""

import asyncio
import contextlib
import socket

import uvicorn

_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.005


class PromptServer(uvicorn.Server):
    """uvicorn looks ten times a second whether to end; a test has several servers and no time to wait."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leave = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self, cut: bool = False) -> None:
        """End, from any thread; with `cut` without waiting for open requests."""
        self.force_exit = self.force_exit or cut
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._leave.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leave.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, which sleeps a tenth of a second before it looks, and looks as seldom."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._requests_ended(), self.config.timeout_graceful_shutdown)
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _requests_ended(self) -> None:
        while self.server_state.connections or self.server_state.tasks:
            if self.force_exit:
                return
            await asyncio.sleep(_LOOK_SECONDS)
