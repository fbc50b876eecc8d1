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


@dataclass(frozen=True)
class Opinion:
    """The verdict of a stage as it stands, the check that it comes from, and every live check."""

    verdict: Verdict
    deciding: Check | None
    live: tuple[Check, ...]
    sample_at: float | None
    fault_at: float | None


class Analysis:
    """One Change's evidence; all times on the process's monotonic clock."""

    def __init__(self, spec: GuardSpec) -> None:
        self._samples: dict[str, RequestSample] = {}  # by request: one that waited is replaced by its end
        self.blocks: list[CounterBlock] = []
        self.events: list[PodEvent] = []
        self._rule = Rule(rule_settings(spec))
        self._users_seen = False
        self._newest: float | None = None
        self._first_bad: float | None = None

    @property
    def samples(self) -> list[RequestSample]:
        """Every request seen one by one, once; without outcome where it still waits."""
        return list(self._samples.values())

    def start_step(self, now: float, weight_percent: int, hold_seconds: float, min_requests: int) -> None:
        self._users_seen = False
        self._rule.start_step(now, weight_percent, hold_seconds, min_requests)

    def take(self, batch: Batch, now: float) -> None:
        """Adds what was measured since the last tick."""
        if batch.blocks or any(sample.outcome is not None for sample in batch.samples):
            self._newest = now
        self._samples |= {sample.request_id: sample for sample in batch.samples}
        self.blocks += batch.blocks
        self._users_seen = self._users_seen or any(b.arm is Arm.CANARY and b.requests for b in batch.blocks)
        self._rule.add_samples(batch.samples)
        self._rule.add_blocks(batch.blocks)
        self._remember_onset(batch)

    def take_events(self, events: Iterable[PodEvent]) -> None:
        new = list(events)
        if new:
            times = [event.at for event in new]
            self._newest = max(times if self._newest is None else [*times, self._newest])
        self.events += new
        self._rule.add_events(new)

    def live(self, now: float, at_end: bool) -> Judgement:
        return self._rule.judge_step_end(now) if at_end else self._rule.judge(now)

    def opinion(
        self,
        now: float,
        results: Iterable[SuiteResult],
        live: bool,
        at_end: bool,
        blind: str | None = None,
    ) -> Opinion:
        """Suites and rule together.

        Args:
            live: False while the canary has no traffic to be judged by.
            at_end: The hold is over.
            blind: Why users' traffic cannot be seen: an ERROR, whatever our own probes say.
        """
        results = list(results)
        judgement = self._judgement(now, at_end, blind) if live else None
        verdicts = [result.verdict for result in results]
        if judgement is not None:
            verdicts.append(judgement.verdict)
        # A stage without suites and without traffic has nothing to say against going on.
        verdict = combine(verdicts) if verdicts else Verdict.PASS
        return Opinion(
            verdict=verdict,
            deciding=_deciding(verdict, judgement, results),
            live=judgement.checks if judgement else (),
            sample_at=self._newest,
            fault_at=self._first_bad,
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

    def _remember_onset(self, batch: Batch) -> None:
        """The first bad canary request seen: the earliest that a fault can be said to have begun."""
        if self._first_bad is not None:
            return
        bad = [b.start for b in batch.blocks if b.arm is Arm.CANARY and b.errors]
        self._first_bad = min(bad, default=None)


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
