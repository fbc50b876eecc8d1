"""From what was measured to one verdict: the live rule and the suites of the stage, together.

Owns feeding the rule and remembering what it was fed, for the evidence. Refuses to know Kubernetes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from guard.api.fields import seconds
from guard.api.guard import GuardSpec
from guard.api.suites import to_core
from guard.core.blocks import CounterBlock, PodEvent
from guard.core.check import Check, SuiteResult
from guard.core.rule import Judgement, Rule, RuleSettings
from guard.core.samples import Arm, RequestSample
from guard.core.verdict import Verdict, combine
from guard.daemon.measure import Batch
from guard.daemon.onset import Onset

_LASTING = frozenset({"ready", "gone", "fingerprint", "policy_bypass"})


@dataclass(frozen=True)
class Opinion:
    """The verdict of a stage as it stands, the check that it comes from, and every live check.

    `sample_at` is when the newest sample was seen, `fault_at` the onset of what `deciding` found (`Onset`);
    both on the clock of the samples, None when unknown.
    """

    verdict: Verdict
    deciding: Check | None
    live: tuple[Check, ...]
    sample_at: float | None
    fault_at: float | None


class Analysis:
    """One Change's evidence; all times on the process's monotonic clock.

    Attributes:
        live_checks: (step, checks): what the rule said of each step that ended.
    """

    def __init__(self, spec: GuardSpec) -> None:
        self.live_checks: list[tuple[int, tuple[Check, ...]]] = []
        self._samples: dict[str, RequestSample] = {}  # by request: one that waited is replaced by its end
        self.blocks: list[CounterBlock] = []
        self.events: list[PodEvent] = []
        self._settings = rule_settings(spec)
        self._rule = Rule(self._settings)
        self._users_seen = False
        self._newest: float | None = None
        self._onset = Onset()

    @property
    def samples(self) -> list[RequestSample]:
        """Every request seen one by one, once; without outcome where it still waits."""
        return list(self._samples.values())

    def start_step(
        self,
        now: float,
        weight_percent: int,
        hold_seconds: float,
        min_requests: int,
        canary_replicas: int = 1,
        baseline_replicas: int = 1,
    ) -> None:
        self._users_seen = False
        self._onset.start_step()
        fleet = canary_replicas, baseline_replicas
        self._rule.start_step(now, weight_percent, hold_seconds, min_requests, *fleet)

    def forget(self) -> None:
        """The rule begins anew: what it was fed compared the canary with something else.

        What it was told of the pods still holds; restarts count per step, and a step is to begin.
        """
        self._rule = Rule(self._settings)
        self._rule.add_events(event for event in self.events if event.kind in _LASTING)

    def take(self, batch: Batch, now: float) -> None:
        """Adds what was measured since the last tick."""
        if batch.blocks or any(sample.outcome is not None for sample in batch.samples):
            self._newest = now
        self._samples |= {sample.request_id: sample for sample in batch.samples}
        self.blocks += batch.blocks
        self._users_seen = self._users_seen or any(b.arm is Arm.CANARY and b.requests for b in batch.blocks)
        self._rule.add_samples(batch.samples)
        self._rule.add_blocks(batch.blocks)
        self._onset.take(batch.samples, batch.blocks)

    def take_events(self, events: Iterable[PodEvent]) -> None:
        new = list(events)
        if new:
            times = [event.at for event in new]
            self._newest = max(times if self._newest is None else [*times, self._newest])
        self.events += new
        self._onset.take_events(new)
        self._rule.add_events(new)

    def live(self, now: float, at_end: bool) -> Judgement:
        return self._rule.judge_step_end(now) if at_end else self._rule.judge(now)

    def keep_step(self, step: int, now: float) -> None:
        """What the rule says of the step that ends now, for the record."""
        self.live_checks.append((step, self.live(now, True).checks))

    def opinion(
        self,
        now: float,
        results: Iterable[SuiteResult],
        live: bool,
        at_end: bool,
        blind: str | None = None,
        confounded: str | None = None,
    ) -> Opinion:
        """Suites and rule together.

        Args:
            live: False while the canary has no traffic to be judged by.
            at_end: The hold is over.
            blind: Why users' traffic cannot be seen: an ERROR, whatever our own probes say.
            confounded: Why nothing may be compared with the stable. Hard limits stand: they ask of it only
                whether it answers.
        """
        results = [refuse_comparisons(r, confounded) if confounded else r for r in results]
        judgement = self._judgement(now, at_end, blind) if live else None
        if judgement and confounded:
            judgement = _confounded(judgement, confounded)
        verdicts = [result.verdict for result in results]
        if judgement is not None:
            verdicts.append(judgement.verdict)
        # A stage without suites and without traffic has nothing to say against going on.
        verdict = combine(verdicts) if verdicts else Verdict.PASS
        deciding = _deciding(verdict, judgement, results)
        return Opinion(
            verdict=verdict,
            deciding=deciding,
            live=judgement.checks if judgement else (),
            sample_at=self._newest,
            fault_at=self._onset.at(deciding.signal) if deciding else None,
        )

    def _judgement(self, now: float, at_end: bool, blind: str | None) -> Judgement:
        """The rule's, and what it cannot know: whether users' own traffic was seen at all."""
        found = self.live(now, at_end)
        if blind is not None:
            check = Check("gateway", Verdict.ERROR, f"users' traffic cannot be seen: {blind}", "errors")
        elif at_end and not self._users_seen:
            reason = "the gateway counted no user's request on the canary in this step"
            check = Check("gateway", Verdict.NO_DATA, reason, "errors", value=0, samples=0, unit="count")
        else:
            return found
        verdict = combine([found.verdict, check.verdict])
        deciding = found.deciding if verdict is found.verdict and found.deciding else check
        return replace(found, verdict=verdict, checks=(*found.checks, check), deciding=deciding)


def refuse_comparisons(result: SuiteResult, why: str) -> SuiteResult:
    """A suite's result without what it found by comparing."""
    return replace(result, checks=tuple(_refused(check, why) for check in result.checks))


def _confounded(judgement: Judgement, why: str) -> Judgement:
    check = Check("baseline", Verdict.INCONCLUSIVE, why)
    checks = (*(_refused(c, why) for c in judgement.checks), check)
    verdict = combine(c.verdict for c in checks)
    deciding = check if check.verdict is verdict else next(c for c in checks if c.verdict is verdict)
    return replace(judgement, verdict=verdict, checks=checks, deciding=deciding)


def _refused(check: Check, why: str) -> Check:
    """A failed comparison fails nobody; what was found stays readable."""
    compares = check.baseline_value is not None or check.evidence is not None
    if check.verdict is not Verdict.FAIL or not compares or check.signal == "hard_limit":
        return check
    return replace(check, verdict=Verdict.INCONCLUSIVE, reason=f"not compared ({why}): {check.reason}")


def rule_settings(spec: GuardSpec) -> RuleSettings:
    """What the rule needs of a Guard."""
    return RuleSettings(
        objectives=tuple(to_core(objective) for objective in spec.objectives),
        policy=spec.promotion.policy,
        planned_seconds=sum(seconds(step.hold) for step in spec.steps),
    )


def _deciding(verdict: Verdict, judgement: Judgement | None, results: Iterable[SuiteResult]) -> Check | None:
    """The check that the combined verdict comes from: live traffic first, then the suites in order."""
    if judgement is not None and judgement.verdict is verdict:
        return judgement.deciding
    checks = (check for result in results for check in result.checks)
    return next((check for check in checks if check.verdict is verdict), None)
