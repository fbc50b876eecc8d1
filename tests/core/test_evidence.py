import pytest

from guard.core.check import Check, SuiteResult
from guard.core.evidence import (
    Deciding,
    Difference,
    Event,
    FieldDifference,
    RawFile,
    Report,
    Rollback,
    Section,
    UserImpact,
)
from guard.core.samples import Arm, Outcome, Source
from guard.core.series import RequestPoint, TrafficBin, WeightPoint
from guard.core.verdict import NotJudged, Verdict

SLOW = Check("ttft-p95", Verdict.FAIL, "1.2 s > 0.75 s", "ttft", 1.2, 0.75, 0.3, "seconds", 60, 30.0)
FULL = Report(
    kind="change",
    title="chat",
    verdict=Verdict.FAIL,
    reason="ttft-p95: 1.2 s > 0.75 s",
    started_at=1000.0,
    finished_at=1060.0,
    tidegate="0.1.0",
    candidate="chat-canary",
    baseline="chat-stable",
    action="RolledBack",
    ticket="CHG-1",
    sections=(
        Section("live", Verdict.FAIL, (SLOW,), 1000.0, 1030.0, step=1, weight_percent=10),
        Section("load", None, note="not run: smoke failed"),
    ),
    changed=(FieldDifference("image", "a", "b", Difference.EXPECTED),),
    deciding=Deciding(1030.0, "ttft", "slow"),
    rollback=Rollback(None, 0.4, 0.1, 2, 0),
    users=UserImpact(100, 3, 0),
    timeline=(Event(1000.0, "Opened", "CHG-1"),),
    notes=("promoted without proof of equality",),
    files=(RawFile("evidence/requests.parquet", "ab", 12),),
    weights=(WeightPoint(1000.0, 10),),
    requests=(RequestPoint(1001.0, Arm.CANARY, Source.PROBE, None, Outcome.TIMEOUT),),
    traffic=(TrafficBin(1000.0, 10.0, Arm.CANARY, 5, 1),),
)


def test_summary_leaves_out_only_the_series():
    assert set(FULL.to_json()) - set(FULL.summary()) == {"requests", "traffic"}


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 2), ("NO_DATA", 2), ("ERROR", 3)],
)
def test_document_states_the_exit_code_of_its_verdict(verdict, code):
    report = Report("gate", "t", Verdict(verdict), "r", 0.0, 1.0, "0.1.0", "http://c")
    assert report.to_json()["exit_code"] == code


def test_section_of_a_suite_keeps_its_verdict_checks_and_error():
    checks = (Check("paired", NotJudged.NOT_COMPARED, "no baseline"),)
    result = SuiteResult("eval", checks, 1.0, 2.0, "http://c", error="collection failed")
    section = Section.of(result, step=2, weight_percent=50)
    assert (section.verdict, section.error, section.step) == (Verdict.ERROR, "collection failed", 2)
