"""Probes: suites on what serves now, without a baseline. Shared by `tidegate probe` and a Guard's schedule.

A probe is a gate run of one arm, so its verdicts, evidence and exit codes are the gate's. Owns what is told
of each suite of such a run, repeating it without bursts, and which runs are kept. Refuses to know when a
schedule is due and who is told.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.requests_file import read_requests
from guard.adapters.suite_runner import start_suite
from guard.api.suites import Objective, Suite, SuitesConfig, to_core
from guard.core.check import Check, SuiteResult
from guard.core.comparison import ArmCounts
from guard.core.evidence import Event, Report, Section
from guard.core.fingerprint import EXPECTED_BY_DEFAULT
from guard.core.probe_counts import probe_counts
from guard.core.samples import RequestSample
from guard.core.schedule import superseded
from guard.core.suite_outcome import SuiteOutcome
from guard.core.verdict import Verdict
from guard.errors import TidegateError
from guard.gate.plan import Plan
from guard.gate.record import PREFLIGHT
from guard.gate.run import Outside, SuiteProcess, judge_plan

API_KEY_ENV = "TIDEGATE_TARGET_API_KEY"  # of the suite's process alone
_POLL_SECONDS = 0.1
_RUN_FOLDER = re.compile(r"\d{8}T\d{6}Z")


class StoppedError(TidegateError):
    """The run was ended from outside: it says nothing of the deployment."""


def probe(
    endpoint: Endpoint,
    model: str,
    suite: Suite,
    objectives: Sequence[Objective],
    dataset: Path | None,
    folder: OutputFolder,
    stop: threading.Event,
) -> tuple[Report, SuiteOutcome]:
    """Run one suite, in the thread of the caller. Once `stop` is set the run ends, as ERROR."""
    config = SuitesConfig(suites=(suite,), objectives=tuple(objectives))
    variable = API_KEY_ENV if endpoint.api_key else None
    plan = Plan(endpoint, None, model, config, EXPECTED_BY_DEFAULT, variable, endpoint.ca_file, dataset)
    environment = {API_KEY_ENV: endpoint.api_key} if endpoint.api_key else {}
    start = partial(_start, stop, environment=environment)
    report = judge_plan(plan, folder, _unheard, outside=Outside(start_suite=start))
    (outcome,) = outcomes(report, [suite.name], folder.evidence) or [SuiteOutcome(suite.name, report.verdict)]
    found = counted(report, outcome, objectives, folder.evidence)
    return report, replace(outcome, reason=report.reason, counted=found)


def outcomes(report: Report, suites: Iterable[str], evidence: Path) -> list[SuiteOutcome]:
    """Each suite's part of a report. A suite that was not run, because an earlier one failed, has none.

    Where nothing could be asked at all, that is what every suite came to.
    """
    sections = {section.name: section for section in report.sections}
    preflight = sections.get(PREFLIGHT)
    found = []
    for name in suites:
        section = sections.get(name)
        if section is not None and section.verdict is not None:
            found.append(_outcome(section, evidence / name / "requests.parquet"))
        elif preflight is None or preflight.verdict is not Verdict.PASS:
            deciding = _deciding(preflight, report.verdict) if preflight else None
            found.append(SuiteOutcome(name, report.verdict, report.reason, deciding))
    return found


def _outcome(section: Section, requests: Path) -> SuiteOutcome:
    verdict = section.verdict if isinstance(section.verdict, Verdict) else Verdict.NO_DATA
    deciding = _deciding(section, verdict)
    reason = section.error or (deciding.reason if deciding else str(verdict))
    return SuiteOutcome(section.name, verdict, reason, deciding, *_times(section, requests))


def counted(
    report: Report, outcome: SuiteOutcome, objectives: Iterable[Objective], evidence: Path
) -> dict[str, ArmCounts]:
    """What the run adds to the error budgets: nothing where our own instrument was at fault."""
    section = next((section for section in report.sections if section.name == outcome.suite), None)
    if section is None or outcome.verdict is Verdict.ERROR:
        return {}
    samples = _samples(evidence / outcome.suite / "requests.parquet")
    return probe_counts(outcome.suite, section.checks, samples, map(to_core, objectives))


def _deciding(section: Section, verdict: Verdict) -> Check | None:
    """The first check with the section's verdict; none of those that passed stands out."""
    bad = verdict is not Verdict.PASS
    return next((check for check in section.checks if bad and check.verdict is verdict), None)


def repeat(once: Callable[[], None], every_seconds: float, stopped: Callable[[], bool]) -> None:
    """Calls `once` at every multiple of the period until `stopped`; what was missed is left out."""
    next_at = time.monotonic()
    while not stopped():
        time.sleep(max(0.0, next_at - time.monotonic()))
        once()
        late = max(0.0, time.monotonic() - next_at)
        next_at += every_seconds * (1 + late // every_seconds)


def run_folder(out: Path, now: float) -> Path:
    """The folder of a run that begins now; sorts by time."""
    return out / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def remove_old_runs(out: Path) -> None:
    """Leaves the newest runs, and the newest that did not pass."""
    runs = sorted(path for path in out.iterdir() if path.is_dir() and _RUN_FOLDER.fullmatch(path.name))
    for name in superseded({run.name: _passed(run) for run in runs}):
        shutil.rmtree(out / name, ignore_errors=True)


def _passed(run: Path) -> bool:
    try:
        return bool(json.loads((run / "verdict.json").read_bytes())["verdict"] == Verdict.PASS)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unheard(event: Event) -> None:
    """The timeline is in the report; nobody watches a scheduled run."""


def _times(section: Section, requests: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(TTFT, E2E) of the suite's raw samples: its requests file, or what its checks list."""
    samples = _samples(requests)
    if samples is not None:
        return _known(s.ttft_seconds for s in samples), _known(s.e2e_seconds for s in samples)
    details = [check.detail for check in section.checks]
    listed = {
        name: _known(value for detail in details for value in _listed(detail.get(name)))
        for name in ("ttft_seconds", "e2e_seconds")
    }
    return listed["ttft_seconds"], listed["e2e_seconds"]


def _samples(requests: Path) -> list[RequestSample] | None:
    """None where the suite keeps no requests. What is wrong with their file, the suite's verdict says."""
    if not requests.is_file():
        return None
    try:
        return list(read_requests(requests))
    except TidegateError:
        return []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _known(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values if isinstance(value, int | float))


class _Stoppable:
    """A suite's process that is not waited for any longer than `stop` allows."""

    def __init__(self, process: Any, stop: threading.Event) -> None:
        self._process, self._stop = process, stop

    def wait(self) -> SuiteResult:
        while True:
            result: SuiteResult | None = self._process.poll()
            if result is not None:
                return result
            if self._stop.wait(_POLL_SECONDS):
                raise StoppedError("ended from outside")

    def kill(self) -> None:
        self._process.kill()


def _start(stop: threading.Event, suite: str, **options: Any) -> SuiteProcess:
    if stop.is_set():
        raise StoppedError("ended from outside")
    return _Stoppable(start_suite(suite, **options), stop)
