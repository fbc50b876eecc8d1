"""The decision on live traffic: samples, per-replica blocks and events in, one `Judgement` with reasons out.

Owns which evidence there is, how it combines into one verdict, and what is still missing. Refuses to read a
clock, to know Kubernetes, and to judge suites (the caller combines). All times are seconds on one clock.

FAIL at once when a hard limit is reached, or when .20 E_TTFT + .15 E_ITL + .35 E_errors + .30 E_quality
reaches 111 (DECISION, small fleet: at most .9 % of good rollouts). E_ITL stands at 1 here. Each is an
e-value, so looking at every tick costs nothing. Evidence runs on from step to step; counts, restarts and
objectives are the step's, and an objective is judged once in it. A FAIL is never taken back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.check import Check
from guard.core.comparison import PairedItem, PromotionPolicy
from guard.core.error_evidence import ErrorEvidence, Observed
from guard.core.hard_limits import HardLimits, Result
from guard.core.live_checks import error_check, quality_check, traffic_check, ttft_check
from guard.core.objectives import Objective
from guard.core.probe_pairs import ProbePairs
from guard.core.quality_evidence import QualityEvidence
from guard.core.request_columns import Replicas, columns
from guard.core.samples import Arm, RequestSample, Source
from guard.core.step_tally import StepTally
from guard.core.verdict import Verdict, combine
from guard.core.waiting import Waiting

THRESHOLD = 111.0
WEIGHTS = {"ttft": 0.20, "itl": 0.15, "errors": 0.35, "quality": 0.30}
# Arbitrary: five to one. A good canary is above it at a given moment in at most one rollout of five (Markov's
# inequality; 3 or 4 of 100 in simulations), and comes below it as more requests are seen.
DOUBT = 5.0
STATE_VERSION = 2


@dataclass(frozen=True)
class RuleSettings:
    """What a Guard chooses.

    Attributes:
        objectives: Judged at the end of each step.
        policy: NonInferior also wants proof at the end of each step.
        planned_seconds: Length of all holds together; onsets of a fault are expected within it.
        warm_up_seconds: A replica's latency counts only so long after it became ready.
    """

    objectives: tuple[Objective, ...] = ()
    policy: PromotionPolicy = "NoHarmFound"
    planned_seconds: float = 1800.0
    warm_up_seconds: float = 180.0


@dataclass(frozen=True)
class Judgement:
    """A verdict, everything behind it, and which check decided.

    Attributes:
        deciding: The check that failed; else the one that keeps the verdict from PASS; None at PASS.
        evidence: The weighted sum of e-values, and `threshold` what rolls back.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    deciding: Check | None
    evidence: float
    threshold: float = THRESHOLD


@dataclass(frozen=True)
class Step:
    """The step being judged."""

    started_at: float
    weight_percent: int
    planned_seconds: float
    min_requests: int


class Rule:
    """One rollout. Feed what was seen, as sources deliver it; ask `judge` as often as you like."""

    def __init__(self, settings: RuleSettings) -> None:
        self._settings = settings
        self._step: Step | None = None
        self._start: float | None = None
        self._tally = StepTally(settings.objectives)
        self._hard = HardLimits()
        self._errors: dict[Source, ErrorEvidence] = {}
        self._pairs = ProbePairs(settings.warm_up_seconds)
        self._quality = QualityEvidence()
        self._quality_pairs = 0
        self._waiting = Waiting()
        self._failed: Check | None = None

    def start_step(self, now: float, weight_percent: int, planned_seconds: float, min_requests: int) -> None:
        """A step begins: its counts start at zero, its evidence goes on."""
        self._step = Step(now, weight_percent, planned_seconds, min_requests)
        self._tally = StepTally(self._settings.objectives)
        self._hard.start_step()
        self._pairs.start_step(now, weight_percent, self._settings.planned_seconds)
        for evidence in self._errors.values():
            evidence.start_step()
        self._start = now if self._start is None else self._start

    def add_samples(self, samples: Iterable[RequestSample]) -> None:
        """Requests seen one by one. One that still waits (no outcome) may be given again when it ended."""
        samples = list(samples)
        for sample in samples:
            if sample.outcome is None:
                self._pairs.add(sample, sample.first_token_at or sample.started_at or 0.0)
        for sample, at in self._waiting.ended(samples):
            self._take(sample, at)

    def add_blocks(self, blocks: Iterable[CounterBlock]) -> None:
        for block in blocks:
            if block.requests > 0:
                self._hard.add(Result.of_block(block))
                seen = Observed(block.end, block.arm, block.replica, block.requests, block.bad)
                self._count(block.source, seen)

    def add_events(self, events: Iterable[PodEvent]) -> None:
        for event in events:
            self._hard.add_event(event)
            self._pairs.add_event(event)

    def add_pairs(self, pairs: Iterable[PairedItem]) -> None:
        """Items that users' shadow or an online eval had both arms answer, in that order."""
        for pair in pairs:
            self._quality.add(pair)
            self._quality_pairs += 1

    def judge(self, now: float) -> Judgement:
        """The verdict so far: FAIL at once, else NO_DATA, INCONCLUSIVE below the step's minimum, or PASS."""
        return self._judge(now, at_end=False)

    def judge_step_end(self, now: float) -> Judgement:
        """The same at the end of the hold, with absolute objectives and, for NonInferior, the proofs.

        May be asked again while the step is held: what its objectives were found to be stands.
        """
        return self._judge(now, at_end=True)

    def _take(self, sample: RequestSample, at: float) -> None:
        result = Result.of_sample(sample, at)
        self._hard.add(result)
        bad = result.bad + result.client_errors
        self._count(sample.source, Observed(at, sample.arm, sample.replica or "", 1, bad))
        self._tally.count_latency(sample.source, columns([sample], Replicas()))
        self._pairs.add(sample, at)

    def _count(self, source: Source, seen: Observed) -> None:
        self._tally.count(source, seen.arm, seen.requests, seen.bad)
        if source not in self._errors:
            start = seen.at if self._start is None else self._start
            self._errors[source] = ErrorEvidence(start, self._settings.planned_seconds)
        self._errors[source].add(seen)

    def _judge(self, now: float, at_end: bool) -> Judgement:
        for sample, at in self._waiting.expired(now):
            self._take(sample, at)
        evidence = self._evidence(now)
        combined = sum(WEIGHTS[signal] * e for signal, e in evidence.items())
        checks = self._checks(now, evidence)
        if at_end:
            checks = [_doubted(check) for check in checks] + self._end_checks(now)
        if combined >= THRESHOLD and self._failed is None:
            leading = max(evidence, key=lambda signal: WEIGHTS[signal] * evidence[signal])
            self._failed = next(_failed(check) for check in checks if check.signal == leading)
        hard = next((c for c in checks if c.verdict is Verdict.FAIL), None)
        self._failed = self._failed or hard
        if self._failed is not None:
            failed = self._failed
            checks = [failed if check.name == failed.name else check for check in checks]
            checks += [] if failed in checks else [failed]
        verdict = combine(check.verdict for check in checks)
        held = next((c for c in checks if c.verdict is verdict and verdict is not Verdict.PASS), None)
        return Judgement(verdict, tuple(checks), self._failed or held, combined)

    def _evidence(self, now: float) -> dict[str, float]:
        """An e-value a signal. Errors: the mean over sources; each is an e-value, and so is their mean."""
        sources = [evidence.evidence(now) for evidence in self._errors.values()]
        return {
            "ttft": self._pairs.evidence(now),
            "itl": 1.0,
            "errors": sum(sources) / len(sources) if sources else 1.0,
            "quality": self._quality.evidence(),
        }

    def _checks(self, now: float, evidence: Mapping[str, float]) -> list[Check]:
        step = self._step
        begun = now - step.started_at if step else 0.0
        alone = {signal: THRESHOLD / weight for signal, weight in WEIGHTS.items()}
        source = self._leading_source(now)
        hard = self._hard.judge(now)
        checks = [
            traffic_check(self._tally.total(Arm.CANARY), step.min_requests if step else 1, begun),
            hard if hard.window_seconds is not None else replace(hard, window_seconds=begun),
            error_check(
                source, self._tally, self._errors.get(source), evidence["errors"], alone["errors"], begun
            ),
            ttft_check(self._pairs, evidence["ttft"], alone["ttft"], now),
        ]
        if self._quality_pairs:
            since = now - (now if self._start is None else self._start)
            checks.append(quality_check(self._quality_pairs, evidence["quality"], alone["quality"], since))
        return checks

    def _leading_source(self, now: float) -> Source:
        """The source whose errors speak loudest, for the check's figures."""
        if not self._errors:
            return Source.USER
        best = self._tally.best_source() or next(iter(self._errors))
        loudest = max(self._errors, key=lambda source: self._errors[source].evidence(now))
        return loudest if self._errors[loudest].evidence(now) > 2.0 else best

    def _end_checks(self, now: float) -> list[Check]:
        step = self._step
        since = now - step.started_at if step else None
        wanted = step.min_requests if step else 1
        waiting = [(s.source, columns([s], Replicas())) for s in self._waiting.current]
        checks = self._tally.objective_checks(wanted, since, waiting, now)
        if self._settings.policy == "NonInferior":
            checks += [replace(self._tally.proof_on_errors(), window_seconds=since), self._pairs.proof()]
        return checks

    def state(self) -> dict[str, Any]:
        """Everything as JSON values: `from_state` goes on with the same numbers, on the same clock."""
        return {
            "version": STATE_VERSION,
            "step": vars(self._step) if self._step else None,
            "start": self._start,
            "tally": self._tally.state(),
            "hard": self._hard.state(),
            "errors": {str(source): evidence.state() for source, evidence in self._errors.items()},
            "pairs": self._pairs.state(),
            "quality": {"wealth": self._quality.wealth, "pairs": self._quality_pairs},
            "waiting": self._waiting.state(),
            "failed": self._failed.to_json() if self._failed else None,
        }

    @classmethod
    def from_state(cls, settings: RuleSettings, state: Mapping[str, Any]) -> Self:
        """Resume.

        Raises:
            ValueError: The state was written by another version of the rule.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"rule state version {state.get('version')!r}, expected {STATE_VERSION}")
        self = cls(settings)
        self._step = Step(**state["step"]) if state["step"] else None
        self._start = state["start"]
        self._tally = StepTally(settings.objectives, state["tally"])
        self._hard = HardLimits.from_state(state["hard"])
        self._errors = {Source(s): ErrorEvidence.from_state(e) for s, e in state["errors"].items()}
        self._pairs = ProbePairs.from_state(settings.warm_up_seconds, state["pairs"])
        self._quality = QualityEvidence(state["quality"]["wealth"])
        self._quality_pairs = state["quality"]["pairs"]
        self._waiting = Waiting.from_state(state["waiting"])
        self._failed = Check.from_json(state["failed"]) if state["failed"] else None
        return self


def _doubted(check: Check) -> Check:
    """No step is left on evidence of harm that is short of a FAIL: it is held for more requests."""
    doubted = check.verdict is Verdict.PASS and (check.evidence or 0.0) > DOUBT
    return replace(check, verdict=Verdict.INCONCLUSIVE) if doubted else check


def _failed(check: Check) -> Check:
    check = check.settled(Verdict.FAIL)
    return replace(
        check, reason=f"{check.reason}; evidence {check.evidence:.3g} against {check.threshold:.3g}"
    )
