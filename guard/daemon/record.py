"""The evidence of one Change: suites' files as they arrive, and at the end everything that was judged.

Owns the folder `ARTIFACTS/NAMESPACE/CHANGE/` and what goes into it: the plan, raw samples and blocks in the
format of a recorded rollout, fingerprints, the report. Rendering is handed in, so that the daemon does not
know HTML. Refuses to judge. A folder of another Change of the same name is left as it is.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from guard import __version__
from guard.adapters.artifacts import OutputFolder, folders_of, next_folder
from guard.adapters.endpoint import Endpoint
from guard.adapters.evidence import seal_report
from guard.adapters.fingerprints import read_fingerprint
from guard.adapters.rollout_record import rollout_document, write_tables
from guard.api.change import ChangeSpec
from guard.api.suites import Suite
from guard.core.change import RoutePhase
from guard.core.evidence import Report
from guard.core.rollout import RecordedStep
from guard.core.samples import Arm
from guard.core.series import WeightPoint
from guard.daemon.arm_fingerprints import ArmFingerprints, Read
from guard.daemon.change_report import Recorded, change_report
from guard.daemon.journal import Journal
from guard.daemon.observe import Observation
from guard.daemon.progress import Progress
from guard.daemon.recorded_suites import RecordedSuites
from guard.daemon.stage import Process
from guard.errors import ConfigurationError

if TYPE_CHECKING:
    from guard.daemon.change_run import ChangeRun

Render = Callable[[Report], Mapping[str, bytes]]

IDENTITY_FILE = "change.json"
_FINGERPRINT_SECONDS = 2.0  # what is waited at the end for an answer that is on its way


class Sealed(NamedTuple):
    """Where the evidence is, and the `sha256:` of its manifest, to be kept elsewhere."""

    path: str
    digest: str


@dataclass(frozen=True)
class Subject:
    """Which Change the evidence is of; `last_known_good` is the Guard's when the Change was taken up."""

    namespace: str
    name: str
    uid: str
    spec: ChangeSpec
    last_known_good: Mapping[str, Any] | None = None


class Recorder:
    """Writes one Change's evidence.

    Attributes:
        folder: The Change's own, in which `evidence` is.
        keyless: Why the runtime's key cannot be had; then nobody is asked without it, and no suite begins.
    """

    def __init__(
        self,
        artifacts: Path,
        subject: Subject,
        render: Render,
        read_config_map: Callable[[str], Mapping[str, str]],
        api_key: str | None = None,
        *,
        keyless: str | None = None,
        now: Callable[[], float] = time.time,
        fingerprint: Read = read_fingerprint,
    ) -> None:
        self._subject = subject
        self._spec = spec = subject.spec
        self._render = render
        self._api_key = api_key
        self.keyless = keyless
        self._now = now
        self.folder = OutputFolder(_folder_of(artifacts, subject), [api_key] if api_key else [])
        self._journal = Journal(self.folder)
        self._suites = RecordedSuites(self.folder, spec, read_config_map)
        templates = {Arm.BASELINE: spec.plan.stable_template, Arm.CANARY: spec.plan.canary_template}
        model, version = spec.plan.guard.target.runtime.models[0], f"tidegate {__version__}"
        self._fingerprints = ArmFingerprints(model, fingerprint, templates, version)

    def saw(self, seen: Observation) -> Observation:
        """A look at the target, given back as it is: keeps the route's version, asks what the arms are."""
        route, now = seen.route, self._now()
        if route is not None:
            self._journal.saw(now, route)
        promoted = route is not None and route.phase in (RoutePhase.PROMOTING, RoutePhase.PROMOTED)
        ours = promoted and route is not None and route.change == self._subject.name
        if route is not None and not ours and self.keyless is None:
            port = self._spec.plan.guard.target.runtime.port
            self._fingerprints.ask(seen.endpoints(port, self._api_key), now)
        return seen

    def keep(self, run: "ChangeRun") -> None:
        """After each tick: what a successor of this guard could not know."""
        self._journal.judge(self._now(), run.live_checks)

    def start_suite(
        self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None
    ) -> Process:
        """Runs one suite in a process of its own; its files stay in the evidence.

        Raises:
            ConfigurationError: Its key, its dataset or its folder cannot be used: the suite is an ERROR.
        """
        if self.keyless is not None:
            raise ConfigurationError(self.keyless)
        try:
            return self._suites.start(stage, suite, candidate, baseline)
        except OSError as error:  # a full disk must not end a tick, which may have to roll back
            raise ConfigurationError(f"{error.filename}: {error.strerror or error}") from error

    def finish(self, run: "ChangeRun") -> Sealed:
        """Writes everything, and says where."""
        self._judge_last_step(run)
        recorded = self._recorded(run)
        self._write_raw(run, recorded)
        report = seal_report(self.folder, change_report(run, self._subject.name, self._spec, recorded))
        for name, content in self._render(report).items():
            self.folder.write(name, content)
        return Sealed(str(self.folder.path), f"sha256:{report.files[-1].sha256}")

    def _judge_last_step(self, run: "ChangeRun") -> None:
        """A Change that ends in a step by other means than a decision on it: as the rule saw it then."""
        self.keep(run)
        step, ended = run.progress.step, run.progress.finished_at
        if step >= 0 and ended is not None and step not in {judged.step for judged in self._journal.judged}:
            checks = run.analysis.live(ended - run.clock_offset, False).checks
            self._journal.judge(ended, [*run.live_checks, (step, checks)])

    def _recorded(self, run: "ChangeRun") -> Recorded:
        self._fingerprints.wait(_FINGERPRINT_SECONDS)
        return Recorded(
            suites=[*self._journal.suites, *run.results],
            judged=self._journal.judged,
            weights=self._journal.weights() or [WeightPoint(at, weight) for at, weight in run.weights],
            fingerprints=self._fingerprints.known,
            last_known_good=self._subject.last_known_good,
            keyless=self.keyless,
        )

    def _write_raw(self, run: "ChangeRun", recorded: Recorded) -> None:
        progress, offset = run.progress, run.clock_offset
        evidence, write = self.folder.evidence, self.folder.write_evidence
        start = _first_step_at(progress)
        write("plan.json", self._spec.to_document())
        write("status.json", progress.to_status(len(self._spec.plan.guard.steps)))
        write("timeline.json", [asdict(entry) for entry in progress.timeline])
        write("last-known-good.json", self._subject.last_known_good)
        known = recorded.fingerprints
        arms = {"stable": known.get(Arm.BASELINE), "canary": known.get(Arm.CANARY)}
        write("fingerprints.json", {arm: found and found.to_json() for arm, found in arms.items()})
        seen = run.analysis
        write_tables(
            evidence,
            samples=seen.samples,
            blocks=seen.blocks,
            events=seen.events,
            shift_seconds=offset - start,
        )
        steps = [
            RecordedStep(point.at - start, point.weight_percent)
            for point in recorded.weights
            if point.at >= start - 1.0
        ]
        if steps:  # a Change that never had traffic is no rollout
            end, opened = (progress.finished_at or start) - start, progress.opened_at - start
            write("rollout.json", rollout_document(steps, end, opened, self._spec.plan.guard.to_document()))


def _folder_of(artifacts: Path, subject: Subject) -> Path:
    """The Change's folder: one that an earlier guard began for it, or the next free one of its name."""
    parent = artifacts.absolute() / subject.namespace
    identity = {"namespace": subject.namespace, "name": subject.name, "uid": subject.uid}
    for folder in folders_of(parent, subject.name):
        file = folder / "evidence" / IDENTITY_FILE
        if file.exists() and json.loads(file.read_bytes()) == identity:
            return folder
    folder = next_folder(parent, subject.name)
    OutputFolder(folder).write_evidence(IDENTITY_FILE, identity)
    return folder


def _first_step_at(progress: Progress) -> float:
    """Unix seconds of the first step; the opening where no step was entered."""
    entered = [entry.at for entry in progress.timeline if entry.kind == "StepEntered"]
    return entered[0] if entered else progress.opened_at
