"""Runs one gate: preflight, then each suite in its own process, into a record and the evidence folder.

Owns the order of events and what stops them. After a smoke suite that failed or broke nothing more is sent:
the rest would only cost minutes to say the same. After any other suite the next one runs, so that a person
sees everything that is wrong at once.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from guard import __version__
from guard.adapters.artifacts import OutputFolder, canonical
from guard.adapters.endpoint import Endpoint
from guard.adapters.evidence import seal_report
from guard.adapters.fingerprints import read_fingerprint
from guard.adapters.requests_file import read_metadata, read_requests
from guard.adapters.suite_runner import start_suite
from guard.api.suites import GateSuite
from guard.core.check import Check, SuiteResult
from guard.core.evidence import Event, Report, Section
from guard.core.fingerprint import Fingerprint
from guard.core.samples import RequestSample
from guard.core.series import RequestPoint, points
from guard.core.verdict import Verdict
from guard.errors import TidegateError
from guard.gate import preflight
from guard.gate.plan import Plan, Wishes, limit_seconds, make_plan, without_credentials
from guard.gate.record import PREFLIGHT, Record, preflight_section

_PLAN_FILE = "plan.json"
_SUITES_THAT_STOP = ("smoke",)


class SuiteProcess(Protocol):
    def wait(self) -> SuiteResult: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Outside:
    """What the run asks of the world; tests put literals here."""

    ask_both: Callable[[Endpoint, Endpoint | None], tuple[preflight.Answer, preflight.Answer | None]] = (
        preflight.ask_both
    )
    fingerprint: Callable[[Endpoint, str], Fingerprint] = read_fingerprint
    start_suite: Callable[..., SuiteProcess] = start_suite
    clock: Callable[[], float] = time.time


def judge(
    wishes: Wishes,
    folder: OutputFolder,
    on_event: Callable[[Event], None],
    before_finishing: Callable[[], None] = lambda: None,
    outside: Outside | None = None,
) -> Report:
    """Plan, run and report. Returns also when refused, interrupted or broken: ERROR with the reason.

    On return the evidence folder is sealed, and no process of ours is left.

    Args:
        before_finishing: Called once nothing more will run, so that the caller can stop being interruptible.
    """
    outside = outside or Outside()
    try:
        plan = make_plan(wishes)
    except TidegateError as error:
        report = unfinished(wishes, str(error), outside.clock())
        on_event(Event(report.started_at, "Refused", report.reason))
        return seal_report(folder, report)
    return judge_plan(plan, folder, on_event, before_finishing, outside)


def judge_plan(
    plan: Plan,
    folder: OutputFolder,
    on_event: Callable[[Event], None],
    before_finishing: Callable[[], None] = lambda: None,
    outside: Outside | None = None,
) -> Report:
    """`judge`, of a plan that is made already."""
    gate = _Gate(plan, folder, on_event, outside or Outside())
    gate.run_to_an_end()
    before_finishing()
    return gate.finish()


def unfinished(wishes: Wishes, why: str, at: float | None = None) -> Report:
    """What is said of a run that was refused, or that a kill -9 ended: ERROR."""
    now = time.time() if at is None else at
    candidate = without_credentials(wishes.candidate)
    baseline = wishes.baseline and without_credentials(wishes.baseline)
    return Report(
        kind="gate",
        title=f"{candidate} against {baseline}" if baseline else candidate,
        verdict=Verdict.ERROR,
        reason=without_credentials(why),
        started_at=now,
        finished_at=now,
        tidegate=__version__,
        candidate=candidate,
        baseline=baseline,
        model=wishes.model,
    )


class _Gate:
    def __init__(
        self, plan: Plan, folder: OutputFolder, on_event: Callable[[Event], None], outside: Outside
    ) -> None:
        self._plan, self._folder, self._outside = plan, folder, outside
        self._record = Record(plan, outside.clock(), on_event, outside.clock)
        self._process: SuiteProcess | None = None

    def run_to_an_end(self) -> None:
        """Run everything, or until something ends it; that is recorded, and nothing is raised."""
        try:
            self._run()
        except KeyboardInterrupt:
            self._stop("interrupted", "Interrupted")
        except TidegateError as error:
            self._stop(str(error), "Stopped")
        except Exception as error:
            traceback.print_exc()
            self._stop(f"a fault of Tidegate itself: {type(error).__name__}: {error}", "Stopped")

    def _run(self) -> None:
        self._write_plan()
        self._record.event("Started", f"gate of {self._record.report().title}")
        checks = self._preflight()
        section = preflight_section(checks, self._record.started_at, self._outside.clock())
        self._take(section, "PreflightFinished")
        for suite in self._plan.config.suites:
            if why := self._reason_not_to_go_on():
                self._record.skip(suite.name, why)
            else:
                self._run_suite(suite)

    def _stop(self, why: str, reason: str) -> None:
        """End the suite that runs, keep what it found, and name those that will not run."""
        why = self._folder.hide(why)
        if self._process is not None:
            self._process.kill()  # it still writes what it found
            self._take(replace(Section.of(self._process.wait()), note=why), "SuiteEnded")
        self._record.stop(why)
        seen = {section.name for section in self._record.sections}
        for suite in self._plan.config.suites:
            if suite.name not in seen:
                self._record.skip(suite.name, why)
        self._record.event(reason, why)

    def finish(self) -> Report:
        """Write what is known, seal the folder, and report it."""
        record, folder = self._record, self._folder
        report = record.report()
        record.event("Finished", f"{report.verdict}: {report.reason}")
        report = record.report()
        folder.write_evidence("trace.json", record.trace)
        folder.write_evidence("timeline.json", [asdict(event) for event in record.timeline])
        return seal_report(folder, report)

    def _write_plan(self) -> None:
        plan, config = self._plan, self._plan.config.to_document()
        if plan.dataset is not None:
            copy = self._folder.copy_evidence(plan.dataset, "dataset.jsonl")
            for suite in config["suites"]:
                if suite["name"] == "eval":
                    suite["dataset"] = {"file": copy.name}  # beside the plan that names it
        self._folder.write(f"evidence/{_PLAN_FILE}", canonical(config))  # the suites read it: as it is

    def _preflight(self) -> tuple[Check, ...]:
        plan = self._plan
        found = preflight.judge_answers(*self._outside.ask_both(plan.candidate, plan.baseline), plan.model)
        checks = list(found.checks)
        if found.model is not None:
            self._record.model = found.model
            checks += self._compare(found.model)
        return tuple(checks)

    def _compare(self, model: str) -> Sequence[Check]:
        plan = self._plan
        candidate = self._fingerprint(plan.candidate, model)
        baseline = None if plan.baseline is None else self._fingerprint(plan.baseline, model)
        document = {
            "candidate": candidate.to_json(),
            "baseline": baseline and baseline.to_json(),
            "expected_changes": sorted(plan.expected),
        }
        self._folder.write_evidence("fingerprints.json", document)
        if baseline is None:
            return ()
        check, self._record.changed = preflight.judge_comparison(baseline, candidate, plan.expected)
        return (check,)

    def _fingerprint(self, endpoint: Endpoint, model: str) -> Fingerprint:
        return replace(self._outside.fingerprint(endpoint, model), suite_version=f"tidegate {__version__}")

    def _reason_not_to_go_on(self) -> str | None:
        for section in self._record.sections:
            stops = (Verdict.FAIL, Verdict.ERROR) if section.name in _SUITES_THAT_STOP else ()
            refused = section.name == PREFLIGHT and section.verdict is not Verdict.PASS
            if refused or section.verdict in stops:
                return f"{section.name} ended {section.verdict}"
        return None

    def _run_suite(self, suite: GateSuite) -> None:
        plan, out = self._plan, self._folder.evidence / suite.name
        out.mkdir()
        self._record.event("SuiteStarted", suite.name)
        self._process = self._outside.start_suite(
            suite.name,
            candidate=plan.candidate.url,
            baseline=plan.baseline.url if plan.baseline else None,
            model=self._record.model,
            config_file=self._folder.evidence / _PLAN_FILE,
            out_dir=out,
            api_key_env=plan.api_key_env,
            ca_file=plan.ca_file,
            timeout=limit_seconds(suite),
            policy_gateway=plan.policy_gateway.url if plan.policy_gateway else None,
        )
        found = self._process.wait()
        self._process = None
        self._take(Section.of(found), "SuiteFinished")
        if suite.name == "load" and "requests" in found.files:
            self._record.requests = self._requests(out / found.files["requests"])

    def _take(self, section: Section, reason: str) -> None:
        hide = self._folder.hide
        checks = (replace(c, reason=hide(c.reason), detail=hide(c.detail)) for c in section.checks)
        section = replace(section, checks=tuple(checks), error=hide(section.error))
        self._record.add(section)
        self._record.event(reason, _summary(section))

    def _requests(self, file: Path) -> tuple[RequestPoint, ...]:
        """For the plots only: a file that cannot be read is noted, and the verdict stands."""
        try:
            return _points(file)
        except TidegateError as error:
            self._record.notes.append(self._folder.hide(f"no plots: {error}"))
            return ()


def _points(file: Path) -> tuple[RequestPoint, ...]:
    """Requests in Unix time: each worker's monotonic clock has its own offset."""
    workers = read_metadata(file).get("workers", {})
    offsets = {name: clock["unix_offset_seconds"] for name, clock in workers.items()}
    by_worker: dict[str | None, list[RequestSample]] = {}
    for sample in read_requests(file):
        by_worker.setdefault(sample.worker, []).append(sample)
    found = [p for name, mine in by_worker.items() for p in points(mine, offsets.get(name, 0.0))]
    return tuple(sorted(found, key=lambda point: point.at))


def _summary(section: Section) -> str:
    judged = [check for check in section.checks if isinstance(check.verdict, Verdict)]
    passed = sum(check.verdict is Verdict.PASS for check in judged)
    lines = [f"{section.name} {section.verdict}: {passed} of {len(judged)} checks passed"]
    bad = [check for check in judged if check.verdict is not Verdict.PASS]
    lines += [f"  {check.verdict} {check.name}: {check.reason}" for check in bad]
    if section.error:
        lines.append(f"  ERROR {section.error}")
    return "\n".join(lines)
