"""The users of the demo: their traffic as a process, and what became of each request.

Owns telling a failure of the fault from a failure of our own making: a request that a canary's model server
refused is the change's fault; everything else that went wrong would be the rollback's or promotion's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.adapters.signals.access_log import LoggedRequest, parse_line
from guard.demo.machine import read_json_lines


@dataclass(frozen=True)
class Tally:
    """Users' requests that began in one span of time.

    Attributes:
        by_fault: Refused by the canary's model server itself.
        by_action: Every other failure: refused connections, broken streams, the gateway's own errors.
    """

    requests: int
    by_fault: int
    by_action: int


def command(url: str, model: str, out: Path, rate: float, long_ratio: float) -> list[str]:
    """The users' command line, for `Machine.start`: sized for one thread of llama.cpp an arm.

    Few wait at a time, so that a slow machine has fewer users instead of an ever longer queue.
    """
    return [
        *("-m", "stack.users", "--url", url, "--model", model, "--out", str(out)),
        *("--rate", str(rate), "--long-ratio", str(long_ratio), "--long-lines", "10"),
        *("--max-tokens", "8", "--max-in-flight", "3"),
    ]


def logged_requests(pods: Path) -> list[LoggedRequest]:
    """Every request in the gateway's access logs."""
    logs = pods.glob("gateway/traefik-*/log")
    lines = (line for log in logs for line in log.read_bytes().splitlines())
    return [request for line in lines if (request := parse_line(line)) is not None]


def tally(rows: Sequence[dict[str, Any]], logged: Sequence[LoggedRequest], start: float, end: float) -> Tally:
    """Counts the users' requests that began in [start, end), joined with the gateway's log by their id."""
    backends = {request.request_id: request for request in logged}
    mine = [row for row in rows if start <= row["started_at"] < end]
    failed = [row for row in mine if row["outcome"] != "ok"]
    by_fault = [row for row in failed if _by_fault(row, backends.get(row["id"]))]
    return Tally(len(mine), len(by_fault), len(failed) - len(by_fault))


def _by_fault(row: dict[str, Any], request: LoggedRequest | None) -> bool:
    """An answer of the canary's model server itself: a 4xx, while the gateway answers 502 to 504."""
    if request is None or row["outcome"] != "error":
        return False
    return "chat-canary" in request.backend and 400 <= request.status < 500


def read_users(out: Path) -> list[dict[str, Any]]:
    return read_json_lines(out)
