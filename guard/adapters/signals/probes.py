"""Paired probes: the same small prompt to one stable and one canary pod at the same moment.

Owns the guard's own evidence during a rollout: raw samples, past the gateway, with request ids that tell them
from users'. Pairs are sent on time whatever became of earlier ones, and each request is handed over as soon
as something is known of it, so that a pod that hangs is seen while it hangs. Refuses to judge.
"""

import contextlib
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from guard.adapters.chat import ChatClient, ChatRequest
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.core.samples import Arm, RequestSample

Targets = Callable[[], Mapping[Arm, list[Endpoint]]]

# A hung pod keeps each of its requests for a minute. More of them would be load, and tell nothing new.
MAX_PAIRS = 8

# Short, and each time different, so that no prefix cache answers for the runtime.
_QUESTIONS = (
    "Name one colour of the number {n} bus.",
    "Is {n} larger than ten? Answer yes or no.",
    "Write the number {n} in words.",
    "Say hello {n} times at most.",
)
_TIMEOUTS = Timeouts(connect=3.0, read=60.0, total=90.0)

log = logging.getLogger("tidegate.guard")


class Probes:
    """Sends a pair every `60 / per_minute` seconds to the next replica of each arm, in turn.

    `on_sample` is given each request up to three times, from several threads: as it is sent, at its first
    token (both without outcome: it waits), and when it has ended. `request_id` says that it is the same.
    `skipped` counts pairs that were not sent because too many still waited.
    """

    def __init__(
        self,
        targets: Targets,
        model: str,
        per_minute: int,
        max_tokens: int,
        on_sample: Callable[[RequestSample], None],
    ) -> None:
        self.skipped = 0
        self._targets = targets
        self._model = model
        self._period = 60.0 / per_minute if per_minute else None
        self._max_tokens = max_tokens
        self._on_sample = on_sample
        self._random = random.Random(0)
        self._sent = 0
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()  # requests that have not ended, by pair
        self._clients: set[ChatClient] = set()
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
        """Cuts what is under way; nothing is handed over any more."""
        self._stop.set()
        self._active.set()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.cut()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._active.wait()
            if self._stop.is_set():
                return
            try:
                self._pair()
            except Exception:  # a dead thread would leave the canary unasked for ever, unseen
                log.exception("a pair of probes could not be sent")
            due = max(due + (self._period or 0.0), time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _pair(self) -> None:
        endpoints = [found[self._sent % len(found)] for found in self._targets().values() if found]
        if not endpoints or not self._has_room():
            return
        self._sent += 1
        if len(endpoints) == 2 and self._sent % 2:
            endpoints.reverse()  # neither arm is always first
        question = self._random.choice(_QUESTIONS).format(n=self._random.randrange(1, 1000))
        pair_id = uuid.uuid4().hex
        with self._lock:
            self._waiting[pair_id] = len(endpoints)
        for endpoint in endpoints:
            asking = (endpoint, question, pair_id)
            threading.Thread(target=self._ask, args=asking, name="probe", daemon=True).start()

    def _has_room(self) -> bool:
        with self._lock:
            room = len(self._waiting) < MAX_PAIRS
        if not room:
            self.skipped += 1
            log.warning(
                "%d pairs of probes wait for an answer: none is added (%d so far)", MAX_PAIRS, self.skipped
            )
        return room

    def _ask(self, endpoint: Endpoint, question: str, pair_id: str) -> None:
        request = ChatRequest.ask(self._model, question, max_tokens=self._max_tokens)

        def hand_over(sample: RequestSample) -> None:
            if not self._stop.is_set():
                self._on_sample(replace(sample, replica=endpoint.pod or endpoint.url))

        try:
            with ChatClient(endpoint, timeouts=_TIMEOUTS) as client, self._cut_at_stop(client):
                hand_over(client.complete(request, pair_id=pair_id, watch=hand_over).sample)
        finally:
            with self._lock:
                self._waiting[pair_id] -= 1
                self._waiting += Counter()  # drops those at 0

    @contextlib.contextmanager
    def _cut_at_stop(self, client: ChatClient) -> Iterator[None]:
        with self._lock:
            self._clients.add(client)
        if self._stop.is_set():  # it was stopped before it could know of this client
            client.cut()
        try:
            yield
        finally:
            with self._lock:
                self._clients.discard(client)
