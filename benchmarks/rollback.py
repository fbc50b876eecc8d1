"""How long a rollback takes until the last new user request has reached the canary.

    python -m benchmarks.rollback --api fake --api real --rollbacks 30 --out docs/benchmarks/rollback.md

For each rollback a Change is opened, the guard gives the canary half of the traffic, and then every
completion of the canary fails. The real daemon sees it in real Traefik's counters, decides, and patches the
route. What is counted is what Traefik's access log says. Ends by itself, 10 s a rollback; 1 when a rollback
went wrong or a user's request failed for another reason than the canary's fault. Times are shown, not judged.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.rollback_report import Measured, Rollback, table, write_page
from benchmarks.rollback_target import REPOSITORY, USERS_PER_SECOND, WEIGHT_PERCENT, Target
from guard.adapters.signals.access_log import LoggedRequest, parse_line
from guard.demo.machine import DemoError, read_json_lines

SETTLE_SECONDS = 2.0  # under traffic before the fault, so that both arms have been seen by the guard
MOST_SECONDS = 60.0  # of one rollback; a good one takes ten
POLL_SECONDS = 0.1
LAST_SECONDS = 2.0  # so that the last requests are in both logs


@dataclass(frozen=True)
class Ended:
    """One Change as it ended; times are Unix seconds."""

    name: str
    fault_at: float
    ended_at: float
    status: dict[str, Any]


def run(target: Target, count: int) -> Iterator[Ended]:
    """`count` rollbacks, one after the other."""
    for number in range(1, count + 1):
        name = f"rollback-{number}"
        target.open_change(name)
        _wait(target, name, lambda status: status.get("weight") == WEIGHT_PERCENT)
        time.sleep(SETTLE_SECONDS)
        fault_at = target.set_fault(True)
        status = _wait(target, name, lambda status: status.get("phase") == "Finished")
        target.set_fault(False)
        yield Ended(name, fault_at, time.time(), status)


def _wait(target: Target, name: str, holds: Any) -> dict[str, Any]:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        target.check()
        status = target.status(name)
        if holds(status):
            return status
        if time.monotonic() > deadline:
            raise DemoError(f"{name}: not within {MOST_SECONDS:.0f} s: {status.get('message')}")
        time.sleep(POLL_SECONDS)


def measured(
    ended: Sequence[Ended], logged: Sequence[LoggedRequest], users: Sequence[dict[str, Any]]
) -> Measured:
    """What came of all rollbacks.

    Raises:
        DemoError: One did not end as a rollback on users' errors, or no request of the canary is logged.
    """
    backends = {request.request_id: request for request in logged}
    failed = [row for row in users if row["outcome"] != "ok"]
    by_fault = [row for row in failed if _by_fault(row, backends.get(row["id"]))]
    rollbacks = tuple(_rollback(one, logged) for one in ended)
    return Measured(rollbacks, len(users), len(by_fault), len(failed) - len(by_fault))


def _rollback(one: Ended, logged: Sequence[LoggedRequest]) -> Rollback:
    status, decision = one.status, one.status.get("decision") or {}
    if status.get("reason") != "RolledBack" or not decision.get("sampleAt"):
        raise DemoError(f"{one.name} ended as {status.get('reason')}: {status.get('message')}")
    begun = [r.started_at for r in logged if "chat-canary" in r.backend and r.started_at <= one.ended_at]
    last = max(begun, default=None)
    if last is None or last < one.fault_at:
        raise DemoError(f"{one.name}: no request reached the canary after the fault")
    sample, patch = _unix(decision["sampleAt"]), _unix(status["rollback"]["patchedAt"])
    # A last request before the patch: it had no successor, and the patch took no time to be felt.
    return Rollback(last - one.fault_at, max(0.0, last - sample), max(0.0, last - patch), patch - sample)


def _by_fault(row: dict[str, Any], request: LoggedRequest | None) -> bool:
    """The canary's own answer 500; Traefik's own are 502 to 504."""
    return request is not None and "chat-canary" in request.backend and request.status == row["status"] == 500


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def benchmark(api: str, count: int, folder: Path) -> Measured:
    """Everything, on one API."""
    ended = []
    with Target(folder, real_api=api == "real") as target:
        for one in run(target, count):
            ended.append(one)
            seconds = ((one.status.get("rollback") or {}).get("seconds") or {}).get("fromDecidingSample")
            print(
                f"{api} {one.name}: {one.status.get('reason')}, {seconds} s from the sample", file=sys.stderr
            )
        time.sleep(LAST_SECONDS)
        lines = target.access_log.read_bytes().splitlines()
        logged = [request for line in lines if (request := parse_line(line)) is not None]
        found = measured(ended, logged, read_json_lines(target.users))
    rows = [vars(rollback) for rollback in found.rollbacks]
    (folder / "rollbacks.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return found


def main(arguments: Sequence[str]) -> int:
    """Runs it; the table is on stdout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--api", choices=["fake", "real"], action="append", required=True)
    parser.add_argument("--rollbacks", type=int, default=30)
    parser.add_argument("--dir", type=Path, default=REPOSITORY / ".tidegate/bench-rollback")
    parser.add_argument("--out", type=Path, help="page to write the table into")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = {api: benchmark(api, options.rollbacks, options.dir.absolute() / api) for api in options.api}
    print(table(results))
    if options.out:
        write_page(options.out, results, USERS_PER_SECOND, WEIGHT_PERCENT)
    return 1 if any(found.failed_by_us for found in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
