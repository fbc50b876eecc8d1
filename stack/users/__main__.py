"""Users: a steady stream of chat requests through the gateway, each one written down.

Owns what a user would see: whether the stream was whole, and how long it took. Mostly short questions, and a
share of long ones (a pasted log with a question about it), because that is what people send. Bounded in
rate; ends on SIGTERM after the requests under way. Refuses to know Tidegate, canaries and weights.

    python -m stack.users --url http://gateway:8080 --model M --rate 1 --long-ratio 0.3 --out users.jsonl
"""

import argparse
import json
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import httpx

SHORT = (
    "Say hello to {name}.",
    "Name one animal that begins with the letter {letter}.",
    "What colour is the sky at {hour} o'clock?",
    "Give me a short title for a note about {topic}.",
)
TOPICS = (
    "backups",
    "disk usage",
    "release notes",
    "on-call",
    "latency",
    "certificates",
    "cost",
    "access rights",
)
LOG_LINE = "{hour:02d}:{minute:02d} {level} service={topic} took {n} ms while handling request {id}"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


def prompt(source: random.Random, long: bool, long_lines: int) -> str:
    """One question; a long one has `long_lines` log lines of about 25 tokens before it."""
    if not long:
        text = source.choice(SHORT)
        return text.format(
            name=f"user {source.randrange(1000)}",
            letter=source.choice("ABCDEFGHLMNPRST"),
            hour=source.randrange(24),
            topic=source.choice(TOPICS),
        )
    lines = [
        LOG_LINE.format(
            hour=source.randrange(24),
            minute=source.randrange(60),
            level=source.choice(("INFO", "WARN", "ERROR")),
            topic=source.choice(TOPICS).replace(" ", "-"),
            n=source.randrange(1, 5000),
            id=uuid.UUID(int=source.getrandbits(128)).hex[:8],
        )
        for _ in range(long_lines)
    ]
    return "\n".join([*lines, "Which line above is the slowest? Answer briefly."])


def ask(client: httpx.Client, url: str, model: str, text: str, max_tokens: int) -> dict[str, Any]:
    """Sends one request and reads its stream to the end; the row says what the user got."""
    row: dict[str, Any] = {"id": f"user-{uuid.uuid4().hex}", "started_at": time.time(), "status": None}
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "stream": True,
    }
    try:
        headers = {"x-request-id": row["id"]}
        with client.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            row["status"] = response.status_code
            done = any(line.startswith("data: [DONE]") for line in response.iter_lines())
        row["outcome"] = "error" if response.status_code >= 400 else "ok" if done else "truncated"
    except httpx.TimeoutException:
        row["outcome"] = "timeout"
    except httpx.ConnectError:
        row["outcome"] = "refused"
    except httpx.HTTPError as error:
        row["outcome"], row["error"] = "truncated", type(error).__name__
    row["finished_at"] = time.time()
    return row


class Log:
    """One JSON line a request, written when it ended."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()


def run(options: argparse.Namespace, log: Log, told_to_end: SimpleQueue[int]) -> None:
    """Poisson arrivals until told to end; a user who finds all places taken gives up, and is not queued."""
    source = random.Random(options.seed)
    places = threading.BoundedSemaphore(options.max_in_flight)
    # One connection a request: as many users, not one user with a warm connection.
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(timeout=TIMEOUT, limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(options.max_in_flight) as pool,
    ):

        def one(text: str, long: bool) -> None:
            try:
                row = ask(client, options.url, options.model, text, options.max_tokens)
                log.write(row | {"long": long})
            finally:
                places.release()

        while not _told(told_to_end, source.expovariate(options.rate)):
            long = source.random() < options.long_ratio
            if places.acquire(blocking=False):
                pool.submit(one, prompt(source, long, options.long_lines), long)


def _told(told_to_end: SimpleQueue[int], within_seconds: float) -> bool:
    try:
        told_to_end.get(timeout=within_seconds)
    except Empty:
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m stack.users", description=__doc__)
    parser.add_argument("--url", required=True, help="the gateway")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rate", type=float, default=1.0, help="requests a second")
    parser.add_argument("--long-ratio", type=float, default=0.3, help="share of long prompts, 0 to 1")
    parser.add_argument(
        "--long-lines", type=int, default=16, help="log lines of about 25 tokens in a long prompt"
    )
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--max-in-flight", type=int, default=32, help="users who wait at the same time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON Lines, one request a line")
    options = parser.parse_args(arguments)
    told_to_end: SimpleQueue[int] = SimpleQueue()  # an Event's set() in a handler may wait for its own wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told_to_end.put(number))
    with options.out.open("a") as file:
        run(options, Log(file), told_to_end)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
