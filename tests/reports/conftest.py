"""Two finished judgements as a reader meets them: a Change that was rolled back, and a gate that passed."""

import random

import pytest

from guard.core.check import Check
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
from guard.core.series import RequestPoint, WeightPoint, bins
from guard.core.verdict import NotJudged, Verdict

START = 1_760_000_000.0


def _requests(bad_from: float) -> tuple[RequestPoint, ...]:
    chance = random.Random(7)
    found = []
    for i in range(360):
        arm = Arm.CANARY if i % 3 == 0 and i > 60 else Arm.BASELINE
        at = START + i / 2
        failed = arm is Arm.CANARY and i / 2 > bad_from and chance.random() < 0.7
        ttft = None if failed else chance.lognormvariate(-1.4, 0.35)
        found.append(RequestPoint(at, arm, Source.PROBE, ttft, Outcome.ERROR if failed else Outcome.OK))
    return tuple(found)


@pytest.fixture
def change_report() -> Report:
    requests = _requests(bad_from=130)
    passed = Check(
        "stream-is-whole", Verdict.PASS, "3 of 3 streams were whole", "smoke", 3, 3, 3, "count", 3, 4.1
    )
    errors = Check(
        "errors",
        Verdict.FAIL,
        "23.3 % of the canary's requests failed, the stable's 0 %: an excess of 23.3 points > 5 points",
        "errors",
        0.233,
        0.05,
        0.0,
        "ratio",
        43,
        20.0,
        evidence=1250.0,
        threshold=111.0,
        detail={"by_kind": {"400": 10}, "first": "<script>alert(1)</script> \x1b[31mcontext exceeded\x1b[0m"},
    )
    few = "p95 0.61 s, limit 0.75 s, 43 requests < 200"
    slow = Check(
        "objective-ttft-p95", Verdict.INCONCLUSIVE, few, "ttft", 0.61, 0.75, 0.44, "seconds", 43, 20.0
    )
    pairs = "lost 1, won 2 of 16 pairs"
    paired = Check(
        "eval-paired", Verdict.PASS, pairs, "quality", 0.8125, None, 0.75, "ratio", 16, 21.0, 0.875
    )
    any_name = Check("unknown-model", NotJudged.NOT_APPLICABLE, "llama.cpp answers to any name", "smoke")
    return Report(
        kind="change",
        title="chat: context cut to 512 tokens",
        verdict=Verdict.FAIL,
        reason="errors: 23.3 % of the canary's requests failed, the stable's 0 %",
        started_at=START,
        finished_at=START + 181,
        tidegate="0.1.0",
        candidate="Deployment inference/chat-canary",
        baseline="Deployment inference/chat-stable",
        model="smollm2-135m-instruct",
        policy="NoHarmFound",
        action="RolledBack",
        ticket="CHG-1042",
        requested_by="release-pipeline",
        risk="R1",
        sections=(
            Section("smoke", Verdict.PASS, (passed,), START, START + 6.2),
            Section(
                "eval",
                Verdict.PASS,
                (paired, any_name),
                START + 7,
                START + 28,
            ),
            Section("live", Verdict.FAIL, (errors, slow), START + 90, START + 160, step=2, weight_percent=50),
            Section("load", None, step=2, weight_percent=50, note="not run: the step was rolled back"),
        ),
        changed=(
            FieldDifference("engine_arguments", "n_ctx=4096", "n_ctx=512", Difference.EXPECTED),
            FieldDifference("runtime", "LlamaCpp", "LlamaCpp", Difference.SAME),
            FieldDifference("model", "smollm2", "smollm2", Difference.SAME),
            FieldDifference("accelerator", None, None, Difference.UNKNOWN),
        ),
        deciding=Deciding(START + 160, "errors", "5 of 5 requests in 10 s failed, the stable's none"),
        rollback=Rollback(29.7, 0.41, 0.12, 2, 0),
        users=UserImpact(412, 10, 0),
        timeline=(
            Event(START, "Opened", "change CHG-1042 of chat opened by release-pipeline"),
            Event(START + 30, "Stepped", "weight 0 -> 10 %"),
            Event(START + 90, "Stepped", "weight 10 -> 50 %"),
            Event(START + 160, "Decided", "FAIL by errors"),
            Event(START + 160.3, "RolledBack", "weight 50 -> 0 %"),
        ),
        notes=("accelerator is not known on either side",),
        files=(RawFile("evidence/requests.parquet", "9f" * 32, 48211),),
        weights=(
            WeightPoint(START, 0),
            WeightPoint(START + 30, 10),
            WeightPoint(START + 90, 50),
            WeightPoint(START + 160.3, 0),
        ),
        requests=requests,
        traffic=bins(requests, 10.0),
    )


@pytest.fixture
def gate_report(change_report: Report) -> Report:
    requests = tuple(
        RequestPoint(p.at, p.arm, Source.LOAD, p.ttft_seconds or 0.3, Outcome.OK)
        for p in change_report.requests
    )
    return Report(
        kind="gate",
        title="http://canary:8000 against http://stable:8000",
        verdict=Verdict.PASS,
        reason="smoke, eval and load passed",
        started_at=START,
        finished_at=START + 96,
        tidegate="0.1.0",
        candidate="http://canary:8000",
        baseline="http://stable:8000",
        model="smollm2-135m-instruct",
        policy="NoHarmFound",
        sections=change_report.sections[:2],
        requests=requests,
        traffic=bins(requests, 10.0),
    )
