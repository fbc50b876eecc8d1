"""A small recorded rollout, written by our own writer: both arms answer every second; the canary may fail."""

from pathlib import Path

from guard.adapters.rollout_record import rollout_document, write_rollout
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem
from guard.core.rollout import RecordedStep
from guard.core.samples import Arm, Outcome, RequestSample, Source

STEPS = (RecordedStep(0.0, 5, 1, 1), RecordedStep(60.0, 50, 1, 1))


def request(name, arm, at, outcome=Outcome.OK, ttft=0.2, took=1.0, **changes):
    fields = dict(
        replica=f"{arm}-0",
        sent_at=at,
        first_token_at=at + ttft if outcome is Outcome.OK else None,
        itl_mean_seconds=0.02 if outcome is Outcome.OK else None,
        finished_at=at + took,
        outcome=outcome,
    )
    return RequestSample(name, Source.USER, arm, **(fields | changes))


def requests(fails_from=None, end=120.0):
    found = [request(f"h{i}", Arm.BASELINE, -60.0 + i) for i in range(60)]
    for i in range(int(end)):
        bad = fails_from is not None and i >= fails_from
        found.append(request(f"b{i}", Arm.BASELINE, i + 0.1))
        found.append(request(f"c{i}", Arm.CANARY, i + 0.2, Outcome.ERROR if bad else Outcome.OK))
    return found


def write(folder, *, fails_from=None, settings=None, end=120.0, **tables) -> Path:
    tables = {"samples": requests(fails_from, end)} | tables
    if settings is None:
        settings = {"minRequests": 20}
    write_rollout(folder, rollout_document(STEPS, end, -60.0, settings), **tables)
    return folder


BLOCK = CounterBlock(Source.USER, Arm.CANARY, "canary-0", 10.0, 0.5, 7, {"500": 2, "503": 1})
EVENT = PodEvent(12.0, Arm.CANARY, "canary-0", "restart", "exit code 139")
EVALS = [(5.0 + i, PairedItem(f"item-{i}", True, i % 2 == 0)) for i in range(10)]
