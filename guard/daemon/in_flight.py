"""How many requests the canary's pods still work on: all pods asked at once, beside the loop.

Owns the threads that ask. One pod that hangs delays neither the loop nor what the others say, and is not
asked again before it has answered. Refuses to know what the count is for.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from guard.adapters.endpoint import Endpoint

WORKERS = 8
ROUND_SECONDS = 5.0  # arbitrary: more than one reading takes until it gives up

Ask = Callable[[Endpoint], int | None]


class InFlight:
    """Call `count` at each tick: the first call of a round asks, a later one has the sum."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="in-flight")
        self._asked: dict[str, Future[int | None]] = {}
        self._began_at: float | None = None

    def count(self, endpoints: Sequence[Endpoint], now: float) -> int | None:
        """Requests of all pods together; None while they are being asked.

        A pod that does not tell, or not within `ROUND_SECONDS`, counts as none.
        """
        if self._began_at is None:
            self._began_at = now
            self._asked = {endpoint.url: self._question(endpoint) for endpoint in endpoints}
        answers = [future for future in self._asked.values() if future.done()]
        if len(answers) < len(self._asked) and now - self._began_at < ROUND_SECONDS:
            return None
        self._began_at = None
        return sum(answer.result() or 0 for answer in answers)

    def stop(self) -> None:
        """Waits for nobody: what is under way ends by its own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _question(self, endpoint: Endpoint) -> Future[int | None]:
        earlier = self._asked.get(endpoint.url)
        if earlier is not None and not earlier.done():
            return earlier
        return self._pool.submit(self._ask, endpoint)
