"""The HTTP server under the doubles: uvicorn that ends when told, not when it next looks.

Owns how a double's server is asked to end. Refuses to know what it serves.
"""

import asyncio
import contextlib

import uvicorn

_TICK_SECONDS = 0.1


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
