"""One Change from its opening to its end without a cluster, with all the evidence of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from guard.adapters.endpoint import Endpoint
from guard.api.suites import Suite
from guard.core.change import Phase
from guard.core.fingerprint import Fingerprint
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.daemon.observe import Observation
from guard.daemon.progress import Progress
from guard.daemon.record import Recorder, Sealed, Subject
from guard.daemon.stage import Process
from reports.bundle import render_all
from tests.daemon.harness import START, Harness

GOOD = dict(canary=(2, 0), stable=(2, 0))
BAD = dict(canary=(2, 1), stable=(2, 0))
LAST_KNOWN_GOOD = {
    "change": "ops-0",
    "digest": "sha256:" + "0" * 64,
    "podTemplate": {},
    "recordedAt": "2027-01-14T00:00:00.000000Z",
}


class RecordedChange:
    """Drives a Harness as the loop does, and records it."""

    def __init__(self, artifacts: Path, uid: str = "uid-1", api_key: str | None = None, **guard: Any) -> None:
        self.harness = Harness(**guard)
        self.artifacts, self.uid, self.api_key = artifacts, uid, api_key
        self._look = self.harness.target.look
        self.harness.target.look = self._seen  # type: ignore[method-assign]
        self.harness._suite = self._suite  # type: ignore[method-assign]
        self.runs, self.really = 0, False
        self.take_up(Progress(opened_at=START, stage_started_at=START))

    def take_up(self, progress: Progress) -> None:
        """A guard process takes the Change up."""
        harness = self.harness
        subject = Subject("inference", "ops-1", self.uid, harness.spec, LAST_KNOWN_GOOD)
        self.recorder = Recorder(
            self.artifacts,
            subject,
            render_all,
            lambda name: {},
            self.api_key,
            now=lambda: harness.turned.now,
            fingerprint=self._fingerprint,
        )
        harness.start(progress)

    def restart(self) -> None:
        """The guard is killed and another one goes on."""
        self.take_up(Progress.from_status(self.harness.saved[-1], self.harness.turned.now))

    def until(self, phase: str, **traffic: Any) -> None:
        for _ in range(400):
            if self.harness.run.progress.phase == phase:
                return
            self._probe()
            self.harness.tick(**traffic)
            self.recorder.keep(self.harness.run)
        raise AssertionError(f"never {phase}: {self.harness.run.progress.message}")

    def finish(self) -> Sealed:
        return self.recorder.finish(self.harness.run)

    def _seen(self) -> Observation:
        """Each patch makes another version of the route."""
        seen = self._look()
        assert seen.route is not None
        version = f"{seen.route.phase}-{seen.route.weight_percent}"
        return self.recorder.saw(replace(seen, route=replace(seen.route, resource_version=version)))

    def _probe(self) -> None:
        """One paired probe; the canary answers a little later."""
        at = self.harness.turned.now - START
        for arm, ttft in ((Arm.BASELINE, 0.30), (Arm.CANARY, 0.34)):
            sample = RequestSample(
                request_id=f"tidegate-{arm}-{at}",
                source=Source.PROBE,
                arm=arm,
                pair_id=f"p{at}",
                replica="pod",
                weight_percent=self.harness.target.weight,
                scheduled_at=at,
                sent_at=at,
                first_token_at=at + ttft,
                finished_at=at + ttft + 0.2,
                outcome=Outcome.OK,
                status=200,
            )
            self.harness.measurements.batch.samples.append(sample)

    def _fingerprint(self, endpoint: Endpoint, model: str) -> Fingerprint:
        context = 2048 if endpoint.arm is Arm.BASELINE else 224
        return Fingerprint(runtime="llama.cpp", model=model, engine_arguments=f"n_ctx={context} slots=2")

    def _suite(self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None) -> Process:
        """What the suite's process leaves behind; the process itself where `really` says so."""
        if self.really:
            return self.recorder.start_suite(stage, suite, candidate, baseline)
        found = Harness._suite(self.harness, stage, suite, candidate, baseline)
        self.runs += 1
        out = Path(self.recorder.folder.evidence, "suites", f"{self.runs:02d}-{stage}-{suite.name}")
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{suite.name}.json").write_text(json.dumps(found.result.to_json()))
        (out / f"{suite.name}.log").write_text("1 passed\n")
        (out / "answers.jsonl").write_text('{"item": "1"}\n')
        return found


def rolled_back(artifacts: Path, **options: Any) -> Sealed:
    """Bad answers to users on the second step; the evidence of it."""
    change = RecordedChange(artifacts, **options)
    change.until(Phase.PROGRESSING, **GOOD)
    while change.harness.run.progress.step == 0:
        change.harness.tick(**GOOD)
        change.recorder.keep(change.harness.run)
    change.until(Phase.ROLLING_BACK, **BAD)
    change.until(Phase.FINISHED, stable=(2, 0))
    return change.finish()


def promoted(artifacts: Path, **options: Any) -> Sealed:
    change = RecordedChange(artifacts, **options)
    change.until(Phase.FINISHED, **GOOD)
    return change.finish()
