"""Paired probes: the same small prompt to one stable and one canary pod at the same moment.

Owns the guard's own evidence during a rollout: raw samples, past the gateway, with request ids that tell them
from users'. Stops by itself when paused or closed. Refuses to judge.
"""

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from guard.adapters.chat import ChatClient, ChatRequest
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.core.samples import Arm, RequestSample

Targets = Callable[[], Mapping[Arm, list[Endpoint]]]

# Short, and each time different, so that no prefix cache answers for the runtime.
_QUESTIONS = (
    "Name one colour of the number {n} bus.",
    "Is {n} larger than ten? Answer yes or no.",
    "Write the number {n} in words.",
    "Say hello {n} times at most.",
)
_TIMEOUTS = Timeouts(connect=3.0, read=60.0, total=90.0)


class Probes:
    """Sends a pair every `60 / per_minute` seconds to the next replica of each arm, in turn."""

    def __init__(
        self,
        targets: Targets,
        model: str,
        per_minute: int,
        max_tokens: int,
        on_samples: Callable[[list[RequestSample]], None],
    ) -> None:
        self._targets = targets
        self._model = model
        self._period = 60.0 / per_minute if per_minute else None
        self._max_tokens = max_tokens
        self._on_samples = on_samples
        self._random = random.Random(0)
        self._sent = 0
        self._active = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)

    def start(self) -> None:
        if self._period is not None:
            self._thread.start()

    def resume(self) -> None:
        self._active.set()

    def pause(self) -> None:
        """No new probe starts; one under way ends by its own timeout."""
        self._active.clear()

    def stop(self) -> None:
        self._stop.set()
        self._active.set()

    def _run(self) -> None:
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="probe") as pool:
            while not self._stop.is_set():
                self._active.wait()
                if not self._stop.is_set():
                    self._pair(pool)
                self._stop.wait(self._period)

    def _pair(self, pool: ThreadPoolExecutor) -> None:
        endpoints = [found[self._sent % len(found)] for found in self._targets().values() if found]
        self._sent += 1
        if len(endpoints) == 2 and self._sent % 2:
            endpoints.reverse()  # neither arm is always first
        question = self._random.choice(_QUESTIONS).format(n=self._random.randrange(1, 1000))
        pair_id = uuid.uuid4().hex
        self._on_samples(list(pool.map(lambda endpoint: self._ask(endpoint, question, pair_id), endpoints)))

    def _ask(self, endpoint: Endpoint, question: str, pair_id: str) -> RequestSample:
        request = ChatRequest.ask(self._model, question, max_tokens=self._max_tokens)
        with ChatClient(endpoint, timeouts=_TIMEOUTS) as client:
            sample = client.complete(request, pair_id=pair_id).sample
        sample.replica = endpoint.url
        return sample
