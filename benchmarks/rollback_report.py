"""The rollback benchmark's figures as a table and as a page in docs. Refuses to measure."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from guard import __version__

AIM = {"p50": 0.3, "p99": 1.0}  # seconds from the deciding sample
NAMES = {
    "fake": "FakeCluster",
    "real": "etcd and apiextensions-apiserver behind FakeCluster",
}


@dataclass(frozen=True)
class Rollback:
    """One rollback in seconds.

    Attributes:
        from_fault: From the moment when the canary began to fail to the last new canary request.
        from_sample: From the sample that the guard decided by (a reading of the gateway) to that request.
        from_patch: From the answer to the guard's PATCH to that request; 0 where it came earlier.
        deciding: From that sample to the answer to the PATCH.
    """

    from_fault: float
    from_sample: float
    from_patch: float
    deciding: float


@dataclass(frozen=True)
class Measured:
    """All rollbacks on one API, and what became of every request of the users in that time."""

    rollbacks: tuple[Rollback, ...]
    requests: int
    failed_by_fault: int
    failed_by_us: int


def quantile(values: Sequence[float], q: float) -> float:
    """Nearest rank: the smallest value that at least `q` of all are not above; 0 < q <= 1, values not empty.

    Of 30 values the 99th percentile is the largest.
    """
    return sorted(values)[math.ceil(q * len(values)) - 1]


def table(results: Mapping[str, Measured]) -> str:
    """Markdown: one row a measure and API."""
    lines = ["| API | seconds from ... to the last new canary request | p50 | p99 | least | most |"]
    lines.append("|---|---|---|---|---|---|")
    for api, found in results.items():
        for name, field in (
            ("the fault's onset", "from_fault"),
            ("the deciding sample", "from_sample"),
            ("the answer to the PATCH", "from_patch"),
            ("(deciding sample to the answer to the PATCH)", "deciding"),
        ):
            values = [float(getattr(rollback, field)) for rollback in found.rollbacks]
            shown = [quantile(values, 0.5), quantile(values, 0.99), min(values), max(values)]
            lines.append(f"| {api} | {name} | " + " | ".join(f"{value:.3f}" for value in shown) + " |")
    lines += ["", "| API | rollbacks | users' requests | failed by the fault | failed by us |"]
    lines.append("|---|---|---|---|---|")
    for api, found in results.items():
        counts = (len(found.rollbacks), found.requests, found.failed_by_fault, found.failed_by_us)
        lines.append(f"| {api} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


def write_page(path: Path, results: Mapping[str, Measured], users_per_second: float, weight: int) -> None:
    """The page with its table, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    named = "; ".join(f"`{api}` is {NAMES[api]}" for api in results)
    path.write_text(
        _PAGE.format(
            table=table(results),
            verdicts="\n".join(_verdict(api, found) for api, found in results.items()),
            named=named,
            users=f"{users_per_second:g}",
            weight=weight,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=f"{os.cpu_count()} shared cores",
            versions=_versions(),
        ),
        encoding="utf-8",
    )


def _verdict(api: str, found: Measured) -> str:
    values = [rollback.from_sample for rollback in found.rollbacks]
    p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
    met = p50 <= AIM["p50"] and p99 <= AIM["p99"]
    return f"- `{api}`: {'met' if met else 'NOT met'} (p50 {p50:.3f} s, p99 {p99:.3f} s)"


def _versions() -> str:
    traefik = subprocess.run(
        [Path(sys.executable).parent / "traefik", "version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    built = [done.name.removeprefix(".done-").split("-") for done in Path(".api").glob(".done-*")]
    parts = [f"Tidegate {__version__}", f"Traefik {traefik}", f"Python {platform.python_version()}"]
    for server, etcd, gateway in built:
        parts.append(f"apiextensions-apiserver {server}, etcd {etcd}, Gateway API {gateway}")
    return "; ".join(parts)


_PAGE = """# How long a rollback takes

Written by `make bench-rollback`; edit benchmarks/rollback_report.py instead.

{table}

{named}. With 30 rollbacks the 99th percentile (nearest rank) is the slowest one.

Aim from the deciding sample: p50 at most 0.3 s, p99 at most 1 s.

{verdicts}

## What is measured

Users send {users} streaming requests a second (Poisson, open loop, a new connection each) through Traefik to
two scripted model servers. A Change is opened, the guard moves {weight} % to the canary, and two seconds
later every completion of the canary is an HTTP 500. The guard is the real daemon, a process of its own: it
reads Traefik's counters every 0.5 s, decides when a reading arrives (not at its next tick), and patches the
route. The last new canary request is the newest beginning of one in Traefik's access log. "The deciding
sample" is the reading of the counters that the guard decided by. From the fault's onset, the time also counts
until five requests, and half of all that the canary answered in 20 s, had failed: two seconds of good answers
take about two to outweigh. The PATCH counts from its answer.

"Failed by us" is every failure of a user's request that is not the canary's own HTTP 500, over the whole run:
refused connections, broken streams, the gateway's own errors, time-outs.

Not measured here: a control plane under load, an API server across a network, other gateways than Traefik,
and Traefik with its default `providersThrottleDuration` of 2 s (the reference stack sets 50 ms).

Machine: {machine}, {date}. {versions}.
"""
