"""A sealed gate run with a file of each kind, and its copies for people."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from guard.adapters.artifacts import OutputFolder
from guard.adapters.evidence import seal_report
from guard.core.check import Check
from guard.core.evidence import Event, Report, Section
from guard.core.verdict import Verdict
from reports.bundle import render_all

REPORT = Report(
    kind="gate",
    title="http://canary:8000",
    verdict=Verdict.FAIL,
    reason="ttft: 1.2 s > 0.75 s",
    started_at=1_800_000_000.0,
    finished_at=1_800_000_060.0,
    tidegate="0.1.0",
    candidate="http://canary:8000",
    sections=(
        Section("smoke", Verdict.FAIL, (Check("ttft", Verdict.FAIL, "1.2 s > 0.75 s", "ttft", 1.2, 0.75),)),
    ),
    timeline=(Event(1_800_000_000.0, "Started", "gate"),),
)
KINDS = ("plan.json", "load/requests.parquet", "smoke/smoke.log", "eval/answers.jsonl", "report.json")


def seal(out: Path, report: Report = REPORT, secrets: tuple[str, ...] = ()) -> Path:
    """The folder that a run leaves."""
    folder = OutputFolder.prepare(out, [], secrets)
    folder.write_evidence("plan.json", {"suites": ["smoke", "load"]})
    for name in ("load", "smoke", "eval"):
        (folder.evidence / name).mkdir()
    pq.write_table(pa.table({"n": [1, 2, 3]}), folder.evidence / "load/requests.parquet")
    (folder.evidence / "smoke/smoke.log").write_text("1 failed\n")
    (folder.evidence / "eval/answers.jsonl").write_text('{"item": "1"}\n')
    for name, content in render_all(seal_report(folder, report)).items():
        folder.write(name, content)
    return out
