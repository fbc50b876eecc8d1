"""The evidence of one Change: suites' files as they arrive, and at the end everything that was judged.

Owns the folder `ARTIFACTS/NAMESPACE/CHANGE/` and what goes into it: the plan, raw samples and blocks in the
format of a recorded rollout, the decision trace, the report. Rendering is handed in, so that the daemon does
not know HTML. Refuses to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard import __version__
from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.requests_file import write_requests
from guard.adapters.suite_runner import start_suite
from guard.api.change import ChangeSpec
from guard.api.fields import seconds
from guard.api.suites import Dataset, EvalSuite, Suite, SuitesConfig
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.evidence import (
    Deciding,
    Difference,
    Event,
    FieldDifference,
    Report,
    Rollback,
    Section,
    UserImpact,
)
from guard.core.samples import Arm
from guard.core.series import TrafficBin, WeightPoint, points
from guard.core.verdict import Verdict, combine
from guard.daemon.progress import Progress
from guard.daemon.stage import Process
from guard.errors import ConfigurationError

if TYPE_CHECKING:
    from guard.daemon.change_run import ChangeRun

Render = Callable[[Report], Mapping[str, bytes]]

ROLLOUT_FORMAT = 1
BIN_SECONDS = 5.0
CONFIG_FILE = "suites-config.json"
API_KEY_ENV = "TIDEGATE_TARGET_API_KEY"  # of the suites' processes alone


class Recorder:
    """Writes one Change's evidence."""

    def __init__(
        self,
        folder: Path,
        name: str,
        spec: ChangeSpec,
        render: Render,
        read_config_map: Callable[[str], Mapping[str, str]],
        secrets: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._spec = spec
        self._render = render
        self._read_config_map = read_config_map
        self._secrets = tuple(secrets)
        self._folder = OutputFolder(folder.absolute(), self._secrets)
        self._folder.evidence.mkdir(parents=True, exist_ok=True)
        self._runs = len(list(self._folder.evidence.glob("suites/*")))

    def start_suite(
        self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None
    ) -> Process:
        """Runs one suite in a process of its own; its files stay in the evidence."""
        self._runs += 1
        out = self._folder.evidence / "suites" / f"{self._runs:02d}-{stage}-{suite.name}"
        out.mkdir(parents=True, exist_ok=True)
        config = SuitesConfig(
            suites=(self._with_dataset(suite, out),),
            objectives=self._spec.plan.guard.objectives,
            policy=self._spec.plan.guard.promotion.policy,
        )
        config_file = self._folder.write_evidence(f"suites/{out.name}/{CONFIG_FILE}", config.to_document())
        return start_suite(
            suite.name,
            candidate=candidate.url,
            baseline=baseline.url if baseline else None,
            model=self._spec.plan.guard.target.runtime.models[0],
            config_file=config_file,
            out_dir=out,
            api_key_env=API_KEY_ENV if candidate.api_key else None,
            environment={API_KEY_ENV: candidate.api_key} if candidate.api_key else {},
            timeout=seconds(suite.timeout),
        )

    def _with_dataset(self, suite: Suite, out: Path) -> Suite:
        """The suite with its ConfigMap's items in a file, where it names one; the copy is evidence.

        Raises:
            ConfigurationError: The ConfigMap does not hold exactly one file.
        """
        if not isinstance(suite, EvalSuite) or suite.dataset is None or suite.dataset.config_map is None:
            return suite
        name = suite.dataset.config_map
        files = self._read_config_map(name)
        if len(files) != 1:
            there = ", ".join(sorted(files)) or "none"
            raise ConfigurationError(f"ConfigMap {name}: expected one key with the items, found {there}")
        file = out / "dataset.jsonl"
        file.write_text(next(iter(files.values())), encoding="utf-8")
        return suite.model_copy(update={"dataset": Dataset(file=str(file))})

    def finish(self, run: "ChangeRun") -> str:
        """Writes everything, and says where."""
        progress, offset = run.progress, run.clock_offset
        evidence = self._folder.evidence
        start = _first_step_at(progress)
        self._folder.write_evidence("plan.json", self._spec.to_document())
        self._folder.write_evidence("status.json", progress.to_status(len(self._spec.plan.guard.steps)))
        samples = run.analysis.samples
        if samples:
            write_requests(evidence / "requests.parquet", samples, {"unix_offset_seconds": str(offset)})
        _write_table(evidence / "blocks.parquet", _block_rows(run.analysis.blocks, offset - start))
        _write_table(evidence / "events.parquet", _event_rows(run.analysis.events, offset - start))
        self._folder.write_evidence("rollout.json", self._rollout(run, start))
        self._folder.write_evidence("trace.json", _trace(run))
        self._folder.write_evidence("report.json", change_report(run, self._name, self._spec, ()).to_json())
        report = change_report(run, self._name, self._spec, self._folder.seal())
        for name, content in self._render(report).items():
            self._folder.write(name, content)
        return str(self._folder.path)

    def _rollout(self, run: "ChangeRun", start: float) -> dict[str, Any]:
        """`rollout.json` of a recorded rollout; times are seconds since the first step."""
        steps = [
            {"start_seconds": at - start, "weight_percent": weight}
            for at, weight in run.weights
            if at >= start - 1.0
        ]
        end = (run.progress.finished_at or start) - start
        return {
            "format_version": ROLLOUT_FORMAT,
            "steps": steps,
            "end_seconds": end,
            "baseline_from_seconds": run.progress.opened_at - start,
            "settings": self._spec.plan.guard.to_document(),
        }


def change_report(run: "ChangeRun", name: str, spec: ChangeSpec, files: Sequence[Any]) -> Report:
    """What a reader is told of a finished Change."""
    progress, guard = run.progress, spec.plan.guard
    seconds_to = progress.rollback_seconds()
    decision = progress.decision or progress.would_have
    sections = (*_suite_sections(run), *_live_sections(run))
    return Report(
        kind="change",
        title=f"Change {name}: {guard.target.canary.workload.name} of guard {spec.guard}",
        verdict=_verdict(progress, sections),
        reason=progress.message,
        started_at=progress.opened_at,
        finished_at=progress.finished_at or progress.opened_at,
        tidegate=__version__,
        candidate=f"Deployment {guard.target.canary.workload.name}",
        baseline=f"Deployment {guard.target.stable.workload.name}",
        model=guard.target.runtime.models[0],
        policy=guard.promotion.policy,
        action=str(progress.ended),
        ticket=spec.ticket,
        requested_by=spec.requested_by,
        risk=spec.risk,
        sections=sections,
        changed=tuple(template_differences(spec.plan.stable_template, spec.plan.canary_template)),
        deciding=_deciding(decision.at, decision.signal, decision.message) if decision else None,
        rollback=Rollback(
            from_fault_onset_seconds=seconds_to["fromFaultOnset"],
            from_deciding_sample_seconds=seconds_to["fromDecidingSample"],
            from_patch_seconds=seconds_to["fromPatch"],
        )
        if progress.patched_at
        else None,
        users=_users(run.analysis.blocks),
        timeline=tuple(Event(e.at, e.kind, e.message) for e in progress.timeline),
        notes=_notes(progress, guard.enforcement),
        files=tuple(files),
        weights=tuple(WeightPoint(at, weight) for at, weight in run.weights),
        requests=points(run.analysis.samples, run.clock_offset),
        traffic=tuple(_traffic(run.analysis.blocks, run.clock_offset)),
    )


def template_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = ""
) -> list[FieldDifference]:
    """Each field of the pod template that the change changes; labels are how a pod belongs, not what runs."""
    found = []
    for key in sorted({*before, *after}):
        here = f"{path}.{key}" if path else key
        if here == "metadata.labels":
            continue
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += template_differences(old, new, here)
        elif _mappings(old) and _mappings(new) and len(old) == len(new):  # type: ignore[arg-type]
            for i, (o, n) in enumerate(zip(old, new, strict=True)):  # type: ignore[arg-type]
                found += template_differences(o, n, f"{here}[{i}]")
        else:
            found.append(FieldDifference(here, _text(old), _text(new), Difference.EXPECTED))
    return found


def _mappings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return None if value is None else str(value)


def _deciding(at: float, signal: str | None, message: str) -> Deciding:
    return Deciding(at, signal or "steps", message)


def _verdict(progress: Progress, sections: Sequence[Section]) -> Verdict:
    if progress.verdict is not None:
        return progress.verdict
    return combine(section.verdict for section in sections if section.verdict is not None)


def _notes(progress: Progress, enforcement: str) -> tuple[str, ...]:
    if enforcement == "Enforce":
        return ()
    would = progress.would_have
    if would is None:
        return ("Advise: nothing was changed; the guard would not have acted",)
    return (f"Advise: nothing was changed; the guard would have done {would.action}: {would.message}",)


def _suite_sections(run: "ChangeRun") -> list[Section]:
    sections = []
    for stage, result in run.results:
        step = int(stage.removeprefix("step-")) if stage.startswith("step-") else None
        weight = run.guard_steps[step - 1] if step else None
        sections.append(Section.of(result, step=step, weight_percent=weight))
    return sections


def _live_sections(run: "ChangeRun") -> list[Section]:
    return [
        Section(
            name="live",
            verdict=combine(check.verdict for check in checks),
            checks=checks,
            step=step + 1,
            weight_percent=run.guard_steps[step],
        )
        for step, checks in run.live_checks
        if step >= 0
    ]


def _traffic(blocks: Sequence[CounterBlock], offset: float) -> list[TrafficBin]:
    """Users' requests per arm and bin, from the gateway's counters."""
    counts: dict[tuple[float, Arm], list[int]] = {}
    for block in blocks:
        at = (block.start + offset) // BIN_SECONDS * BIN_SECONDS
        count = counts.setdefault((at, block.arm), [0, 0])
        count[0] += block.requests
        count[1] += block.bad
    return [TrafficBin(at, BIN_SECONDS, arm, *count) for (at, arm), count in sorted(counts.items())]


def _users(blocks: Sequence[CounterBlock]) -> UserImpact | None:
    """Users' requests on both arms, by the gateway's counters; whose fault one was, a counter cannot tell."""
    if not blocks:
        return None
    return UserImpact(sum(block.requests for block in blocks), sum(block.bad for block in blocks))


def _first_step_at(progress: Progress) -> float:
    """Unix seconds of the first step; the opening where no step was entered."""
    entered = [entry.at for entry in progress.timeline if entry.kind == "StepEntered"]
    return entered[0] if entered else progress.opened_at


def _trace(run: "ChangeRun") -> list[dict[str, Any]]:
    """Every live judgement that a step ended with, as it was."""
    return [
        {"step": step, "checks": [check.to_json() for check in checks]} for step, checks in run.live_checks
    ]


def _block_rows(blocks: Sequence[CounterBlock], offset: float) -> list[dict[str, Any]]:
    rows = []
    for block in blocks:
        shared = {
            "source": str(block.source),
            "arm": str(block.arm),
            "replica": block.replica,
            "start": block.start + offset,
            "seconds": block.seconds,
            "le": None,
            "sum": None,
        }
        rows.append({**shared, "signal": "requests", "count": block.requests})
        rows += [{**shared, "signal": f"errors:{code}", "count": n} for code, n in block.errors.items()]
    return rows


def _event_rows(events: Sequence[PodEvent], offset: float) -> list[dict[str, Any]]:
    return [
        {
            "at": event.at + offset,
            "arm": str(event.arm),
            "replica": event.replica,
            "kind": event.kind,
            "detail": event.detail,
        }
        for event in events
    ]


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)
