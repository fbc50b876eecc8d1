"""The decision on live traffic: samples, per-replica blocks and events in, one `Judgement` with reasons out.

Owns how evidence combines into one verdict, hard limits, the step's counts, and what is still missing.
Refuses to read a clock, to know Kubernetes, and to judge suites (the caller combines). All times are seconds
on one clock.

FAIL at once when a hard limit is reached, or when the weighted sum of the signals' e-values (`LiveEvidence`:
TTFT, ITL, errors, quality) reaches 1 / alpha. Each is an e-value, so looking at every tick costs nothing.
Evidence runs on from step to step; counts, restarts and objectives are the step's, and an objective is judged
once in it. A FAIL is never taken back.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.check import Check
from guard.core.comparison import PairedItem, PromotionPolicy
from guard.core.hard_limits import HardLimits, Result
from guard.core.histogram_blocks import HistogramBlock
from guard.core.live_checks import (
    error_check,
    latency_check,
    quality_check,
    slower_machine_or_build,
    traffic_check,
)
from guard.core.live_evidence import LiveEvidence, News
from guard.core.objectives import Objective
from guard.core.observations import Requests
from guard.core.promotion import proof_checks
from guard.core.request_columns import Replicas
from guard.core.samples import Arm, RequestSample, Source
from guard.core.step_tally import StepTally
from guard.core.verdict import Verdict, combine

ALPHA = 1 / 111  # DESIGN 5.6
# Arbitrary: five to one. A good canary is above it at a given moment in at most one rollout of five (Markov's
# inequality; 3 or 4 of 100 in simulations), and comes below it as more requests are seen.
DOUBT = 5.0
MOST_COUNTED = 10**9  # of one block; arbitrary: sums stay far below what 64 bits hold
STATE_VERSION = 5


@dataclass(frozen=True)
class RuleSettings:
    """What a Guard chooses.

    Attributes:
        objectives: Judged at the end of each step.
        policy: NonInferior also wants proof at the end of each step.
        planned_seconds: Length of all holds together; onsets of a fault are expected within it.
        warm_up_seconds: A replica's latency counts only so long after it became ready.
        alpha: Of good rollouts, at most this share is rolled back by evidence.
    """

    objectives: tuple[Objective, ...] = ()
    policy: PromotionPolicy = "NoHarmFound"
    planned_seconds: float = 1800.0
    warm_up_seconds: float = 180.0
    alpha: float = ALPHA


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
    threshold: float


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
        self._threshold = 1 / settings.alpha
        self._step: Step | None = None
        self._tally = StepTally(settings.objectives)
        self._hard = HardLimits()
        prove = settings.policy == "NonInferior"
        self._evidence = LiveEvidence(settings.planned_seconds, settings.warm_up_seconds, prove)
        self._failed: Check | None = None
        self._dropped_blocks = 0

    @property
    def replicas(self) -> Replicas:
        """The codes by which `add_requests` names replicas."""
        return self._evidence.replicas

    @property
    def dropped(self) -> Mapping[str, int]:
        """Input that cannot be, by reason."""
        blocks = {"blocks": self._dropped_blocks} if self._dropped_blocks else {}
        return {**self._evidence.dropped, **blocks}

    def start_step(
        self,
        now: float,
        weight_percent: int,
        planned_seconds: float,
        min_requests: int,
        canary_replicas: int = 1,
        baseline_replicas: int = 1,
    ) -> None:
        """A step begins: its counts start at zero, its evidence goes on."""
        history = self._evidence.start_step(now, weight_percent, canary_replicas, baseline_replicas)
        self._count(history)
        self._step = Step(now, weight_percent, planned_seconds, min_requests)
        self._tally = StepTally(self._settings.objectives)
        self._hard.start_step()

    def add_samples(self, samples: Iterable[RequestSample]) -> None:
        """Requests seen one by one. One that still waits (no outcome) may be given again when it ended."""
        self._count(self._evidence.add_samples(samples))

    def add_requests(self, source: Source, rows: Requests) -> None:
        """The same in columns; replicas by the codes of `replicas`."""
        self._count(self._evidence.add_requests(source, rows))

    def add_blocks(self, blocks: Iterable[CounterBlock]) -> None:
        """Counters; what none can have counted is dropped, and counted itself."""
        blocks = list(blocks)
        usable = [block for block in blocks if _is_usable(block)]
        self._dropped_blocks += len(blocks) - len(usable)
        self._evidence.add_blocks(usable)
        for block in usable:
            if block.requests > 0:
                self._hard.add(Result.of_block(block))
                self._tally.count(block.source, block.arm, block.requests, block.bad)

    def add_histograms(self, blocks: Iterable[HistogramBlock]) -> None:
        """Blocks of replicas' latency histograms: of latency alone, for requests are counted elsewhere."""
        self._evidence.add_histograms(blocks)

    def add_events(self, events: Iterable[PodEvent]) -> None:
        for event in events:
            self._hard.add_event(event)
            self._evidence.add_event(event)

    def add_pairs(self, pairs: Iterable[PairedItem]) -> None:
        """Items that users' shadow or an online eval had both arms answer, in that order."""
        self._evidence.add_pairs(pairs)

    def judge(self, now: float) -> Judgement:
        """The verdict so far: FAIL at once, else NO_DATA, INCONCLUSIVE below the step's minimum, or PASS."""
        return self._judge(now, at_end=False)

    def judge_step_end(self, now: float) -> Judgement:
        """The same at the end of the hold, with absolute objectives and, for NonInferior, the proofs.

        May be asked again while the step is held: what its objectives were found to be stands.
        """
        return self._judge(now, at_end=True)

    def _count(self, news: Iterable[News]) -> None:
        """What needs no evidence: hard limits, and the step's counts."""
        for source, new in news:
            self._hard.add_marks(source, new.good, new.failures, new.client_error)
            for arm in Arm:
                ended = int((new.ended.canary == (arm is Arm.CANARY)).sum())
                failed = int((new.failures.canary == (arm is Arm.CANARY)).sum())
                if ended or failed:
                    self._tally.count(source, arm, ended, failed)
            self._tally.count_latency(source, new.ended)

    def _judge(self, now: float, at_end: bool) -> Judgement:
        self._count(self._evidence.advance(now))
        evidence = self._evidence.e_values(now)
        weights = self._evidence.weights
        combined = sum(weights[signal] * e for signal, e in evidence.items())
        checks = self._checks(now, evidence, combined >= self._threshold)
        if at_end:
            checks = [self._doubted(check, now) for check in checks] + self._end_checks(now)
        if combined >= self._threshold and self._failed is None:
            leading = max(evidence, key=lambda signal: weights[signal] * evidence[signal])
            self._failed = next(_failed(check) for check in checks if check.signal == leading)
        hard = next((c for c in checks if c.verdict is Verdict.FAIL), None)
        self._failed = self._failed or hard
        if self._failed is not None:
            failed = self._failed
            checks = [failed if check.name == failed.name else check for check in checks]
            checks += [] if failed in checks else [failed]
        verdict = combine(check.verdict for check in checks)
        held = next((c for c in checks if c.verdict is verdict and verdict is not Verdict.PASS), None)
        return Judgement(verdict, tuple(checks), self._failed or held, combined, self._threshold)

    def _checks(self, now: float, evidence: Mapping[str, float], decided: bool) -> list[Check]:
        step, live = self._step, self._evidence
        begun = now - step.started_at if step else 0.0
        since = now - (now if live.start is None else live.start)
        alone = {signal: self._threshold / weight for signal, weight in live.weights.items()}
        source = self._leading_source(now)
        hard = self._hard.judge(now, live.answering())
        checks = [
            traffic_check(self._tally.total(Arm.CANARY), step.min_requests if step else 1, begun),
            hard if hard.window_seconds is not None else replace(hard, window_seconds=begun),
            error_check(
                source,
                self._tally,
                live.errors.get(source),
                evidence["errors"],
                alone["errors"],
                begun,
                decided,
            ),
        ]
        holds = live.latency.hold_evidence(now)
        for signal in ("ttft", "itl"):
            found = latency_check(live, signal, evidence[signal], alone[signal], now, decided)
            held = not decided and holds.get(signal, 1.0) >= self._threshold
            checks += [slower_machine_or_build(found) if held else found] if found else []
        if live.quality_pairs:
            checks.append(quality_check(live.quality_pairs, evidence["quality"], alone["quality"], since))
        return checks + ([live.sample_ratio.check(now)] if live.traffic_source else [])

    def _doubted(self, check: Check, now: float) -> Check:
        """No step is left on evidence of harm that is short of a FAIL: it is held for more requests."""
        if check.verdict is not Verdict.PASS or check.signal is None:
            return check
        if (check.evidence or 0.0) > DOUBT:
            return replace(check, verdict=Verdict.INCONCLUSIVE)
        if check.signal != "errors" or check.evidence is None:
            return check
        ahead = self._evidence.errors_ahead(now)
        if ahead <= DOUBT:
            return check
        why = f"{check.reason}; evidence {ahead:.3g} with the last seconds, which are not compared yet"
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=why)

    def _leading_source(self, now: float) -> Source:
        """The source whose errors speak loudest, for the check's figures."""
        errors = self._evidence.errors
        if not errors:
            return Source.USER
        best = self._tally.best_source() or next(iter(errors))
        loudest = max(errors, key=lambda source: errors[source].evidence(now))
        return loudest if errors[loudest].evidence(now) > 2.0 else best

    def _end_checks(self, now: float) -> list[Check]:
        step = self._step
        since = now - step.started_at if step else None
        wanted = step.min_requests if step else 1
        checks = self._tally.objective_checks(wanted, since, self._evidence.waiting(), now)
        if self._settings.policy == "NonInferior":
            proofs = self._evidence.proofs
            checks += proofs.checks(now) if proofs else proof_checks({})
        return checks

    def state(self) -> dict[str, Any]:
        """Everything as JSON values: `from_state` goes on with the same numbers, on the same clock."""
        return {
            "version": STATE_VERSION,
            "step": vars(self._step) if self._step else None,
            "tally": self._tally.state(),
            "hard": self._hard.state(),
            "evidence": self._evidence.state(),
            "failed": self._failed.to_json() if self._failed else None,
            "dropped_blocks": self._dropped_blocks,
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
        self._tally = StepTally(settings.objectives, state["tally"])
        self._hard = HardLimits.from_state(state["hard"])
        self._evidence = LiveEvidence.from_state(
            settings.planned_seconds,
            settings.warm_up_seconds,
            state["evidence"],
            settings.policy == "NonInferior",
        )
        self._failed = Check.from_json(state["failed"]) if state["failed"] else None
        self._dropped_blocks = state["dropped_blocks"]
        return self


def _is_usable(block: CounterBlock) -> bool:
    fine = math.isfinite(block.start) and math.isfinite(block.seconds) and block.seconds >= 0
    counts = (block.requests, *block.errors.values())
    return fine and all(0 <= count <= MOST_COUNTED for count in counts)


def _failed(check: Check) -> Check:
    check = check.settled(Verdict.FAIL)
    return replace(
        check, reason=f"{check.reason}; evidence {check.evidence:.3g} against {check.threshold:.3g}"
    )
