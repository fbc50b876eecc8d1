"""What crosses between the load's parent and its worker: the job in, progress out, samples in a file.

Samples go to a file, one JSON line each as soon as the request has ended, and not through the pipe: a slow
reader can then never hold up the process that measures, and a killed worker leaves what it had.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.load.plan import LoadPlan


@dataclass(frozen=True)
class Job:
    """One worker's work. The key travels in it, by stdin, and is never an argument."""

    plan: LoadPlan
    urls: Mapping[Arm, str]
    model: str
    samples_file: str
    run_id: str
    worker: str
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def to_line(self) -> str:
        return json.dumps(asdict(self) | {"plan": self.plan.to_json()}) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        document = json.loads(line)
        urls = {Arm(arm): url for arm, url in document["urls"].items()}
        return cls(**{**document, "plan": LoadPlan.from_json(document["plan"]), "urls": urls})


@dataclass(frozen=True)
class Clock:
    """Where a worker's monotonic clock stands: Unix time = monotonic + offset, give or take."""

    unix_offset_seconds: float
    uncertainty_seconds: float

    @classmethod
    def read(cls, tries: int = 32) -> Self:
        """The best of several readings of the Unix clock between two of the monotonic one."""
        best = min((_bracket() for _ in range(tries)), key=lambda reading: reading[1])
        return cls(*best)

    def widened(self, later: "Clock") -> "Clock":
        """The same offset, uncertain by what the Unix clock was moved until `later`."""
        moved = abs(later.unix_offset_seconds - self.unix_offset_seconds)
        return Clock(self.unix_offset_seconds, self.uncertainty_seconds + moved)


def _bracket() -> tuple[float, float]:
    before, unix, after = time.monotonic(), time.time(), time.monotonic()
    return unix - (before + after) / 2, (after - before) / 2


class SampleWriter:
    """Appends one line a sample, each with one unbuffered write (some 5 us into the page cache)."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, sample: RequestSample) -> None:
        os.write(self._file, json.dumps(asdict(sample)).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_samples(path: Path) -> Iterator[RequestSample]:
    """Every whole line; the last one may be cut where the worker was killed."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        document = json.loads(line)
        outcome = document["outcome"]
        yield RequestSample(
            **document
            | {
                "source": Source(document["source"]),
                "arm": Arm(document["arm"]),
                "outcome": None if outcome is None else Outcome(outcome),
            }
        )
