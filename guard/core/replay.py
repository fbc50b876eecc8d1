"""A recorded rollout judged again by the live rule, at every 5 s tick: what it comes to, when, and why.

Owns the ticks, which step is judged when, what counts as an action, and the document of DESIGN section 12.
Feeds the rule only what was known at each tick (`replay_feed`), so a decision knows nothing of what followed.
Knows no files.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from guard.core.check import Check
from guard.core.replay_amounts import Amounts
from guard.core.replay_feed import Feed
from guard.core.replay_rule import RecordedRule
from guard.core.rollout import RecordedStep, Rollout
from guard.core.rule import Judgement
from guard.core.samples import Arm
from guard.core.verdict import EXIT_CODES, Verdict

TICK_SECONDS = 5.0

Action = Literal["ROLLBACK", "PROMOTE", "HOLD"]


@dataclass(frozen=True)
class Moment:
    """What was thought at one tick.

    Attributes:
        step: From 1.
        signal: Of the check that keeps the verdict from PASS; None where no signal does.
        evidence: The weighted sum of e-values.
        e_values: By signal, of those of which anything was said.
        canary_requests, baseline_requests: Seen since the first step.
    """

    at_seconds: float
    step: int
    weight_percent: int
    verdict: Verdict
    signal: str | None
    reason: str | None
    evidence: float
    e_values: Mapping[str, float]
    canary_requests: int
    baseline_requests: int


@dataclass(frozen=True)
class Decision:
    """What became of the rollout; `to_json` is the document that `tidegate replay` prints."""

    verdict: Verdict
    action: Action
    at_seconds: float
    signal: str | None
    effect: Mapping[str, Any] | None
    evidence: Mapping[str, Any]
    timeline: tuple[Moment, ...]

    @property
    def words(self) -> str:
        """Why, in a sentence, also where nothing speaks against the canary."""
        if reason := self.timeline[-1].reason:
            return reason
        proved = self.evidence["settings"]["policy"] == "NonInferior"
        found = "proved to be no worse" if proved and self.action == "PROMOTE" else "no harm found"
        return (
            f"{found} in {self.evidence['requests']['canary']} canary requests, evidence "
            f"{e_value_text(self.evidence['combined'])} of {e_value_text(self.evidence['threshold'])}"
        )

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "action": self.action,
            "at_seconds": self.at_seconds,
            "signal": self.signal,
            "effect": self.effect,
            "evidence": self.evidence,
            "timeline": [asdict(moment) | {"verdict": str(moment.verdict)} for moment in self.timeline],
        }


def e_value_text(value: float) -> str:
    """An e-value as a person reads it: `0.44`, `12.5`, `13168`, `2.1e+09`."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}" if value < 1e6 else f"{value:.1e}"


def replay(rollout: Rollout, on_tick: Callable[[Moment], None] = lambda moment: None) -> Decision:
    """Judges a recorded rollout until the first irreversible action, or its end.

    Args:
        on_tick: Told of each tick as it is judged.
    """
    return _Replay(rollout).run(on_tick)


def ticks(rollout: Rollout) -> list[float]:
    """Every 5 s from the first step, and the starts and the end of steps wherever they fall."""
    start, end = rollout.steps[0].start_seconds, rollout.end_seconds
    grid = start + TICK_SECONDS * np.arange(int((end - start) // TICK_SECONDS) + 1)
    moments = {*grid.tolist(), *(step.start_seconds for step in rollout.steps), end}
    return sorted(moment for moment in moments if moment <= end)


class _Replay:
    """One run over one rollout."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._rule = RecordedRule(rollout)
        self._ticks = ticks(rollout)
        self._seen = Amounts(rollout, self._ticks)
        self._step = -1
        self._timeline: list[Moment] = []

    def run(self, on_tick: Callable[[Moment], None]) -> Decision:
        for index, news in enumerate(Feed(self._rollout, self._ticks)):
            now = self._ticks[index]
            if self._step < 0:
                self._start_step(now)
            self._rule.take(news)
            at_end = self._is_step_end(now)
            judgement = self._rule.judge(now, at_end or self._may_be_proved)
            moment = self._moment(index, judgement)
            self._timeline.append(moment)
            on_tick(moment)
            if action := self._action(judgement, now):
                return self._decision(action, judgement)
            if at_end and now < self._rollout.end_seconds:
                self._start_step(now)
        return self._decision("HOLD", judgement)

    @property
    def _last_step(self) -> bool:
        return self._step == len(self._rollout.steps) - 1

    @property
    def _may_be_proved(self) -> bool:
        """NonInferior promotes as soon as it is proved in the last step; objectives wait for its end."""
        settings = self._rollout.settings
        return self._last_step and settings.policy == "NonInferior" and not settings.objectives

    def _step_end(self) -> float:
        steps = self._rollout.steps
        return self._rollout.end_seconds if self._last_step else steps[self._step + 1].start_seconds

    def _is_step_end(self, now: float) -> bool:
        return now >= self._step_end()

    def _start_step(self, now: float) -> None:
        self._step += 1
        self._rule.start_step(self._current, now, self._step_end() - now)

    @property
    def _current(self) -> RecordedStep:
        return self._rollout.steps[self._step]

    def _action(self, judgement: Judgement, now: float) -> Action | None:
        if judgement.verdict is Verdict.FAIL:
            return "ROLLBACK"
        proved = self._may_be_proved or (self._last_step and self._is_step_end(now))
        return "PROMOTE" if proved and judgement.verdict is Verdict.PASS else None

    def _moment(self, index: int, judgement: Judgement) -> Moment:
        deciding = judgement.deciding
        return Moment(
            at_seconds=self._ticks[index],
            step=self._step + 1,
            weight_percent=self._current.weight_percent,
            verdict=judgement.verdict,
            signal=deciding.signal if deciding else None,
            reason=deciding.reason if deciding else None,
            evidence=judgement.evidence,
            e_values={c.signal: c.evidence for c in judgement.checks if c.signal and c.evidence is not None},
            canary_requests=self._seen.requests(Arm.CANARY, index),
            baseline_requests=self._seen.requests(Arm.BASELINE, index),
        )

    def _decision(self, action: Action, judgement: Judgement) -> Decision:
        last = self._timeline[-1]
        return Decision(
            verdict=judgement.verdict,
            action=action,
            at_seconds=last.at_seconds,
            signal=last.signal,
            effect=_effect(judgement.deciding),
            evidence=self._evidence(judgement),
            timeline=tuple(self._timeline),
        )

    def _evidence(self, judgement: Judgement) -> dict[str, Any]:
        """Everything behind the decision: amounts, e-values, checks, and what was left out."""
        rollout, index = self._rollout, len(self._timeline) - 1
        last = self._timeline[-1]
        return {
            "combined": judgement.evidence,
            "threshold": judgement.threshold,
            "e_values": dict(last.e_values),
            "requests": {"canary": last.canary_requests, "baseline": last.baseline_requests},
            **self._seen.amounts(index),
            "sources": sorted(
                {*map(str, rollout.requests), *(str(b.source) for b in rollout.blocks + rollout.histograms)}
            ),
            "missing": list(rollout.missing),
            "dropped": dict(rollout.dropped),
            "dropped_by_rule": dict(self._rule.dropped),
            "not_used": dict(rollout.unused),
            "settings": rollout.settings_document(),
            "checks": [check.to_json() for check in judgement.checks],
        }


def _effect(check: Check | None) -> dict[str, Any] | None:
    """What moved, by how much; None where nothing did."""
    if check is None:
        return None
    return {
        "value": check.value,
        "unit": check.unit,
        "limit": check.limit,
        "baseline_value": check.baseline_value,
        "interval_95": check.detail.get("interval_95"),
        "samples": check.samples,
        "reason": check.reason,
    }
