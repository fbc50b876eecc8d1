"""The live rule as a replay drives it: a recorded rollout's columns in, a `Judgement` out.

Owns what turns recorded rows into what `Rule` takes, and nothing of the decision.
"""

import math
from dataclasses import replace

from guard.core.observations import CLIENT_ERROR, OK, WAITS, Requests
from guard.core.replay_feed import News
from guard.core.rollout import RecordedStep, Rollout
from guard.core.rule import THRESHOLD, WEIGHTS, Judgement, Rule, RuleSettings
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.verdict import Verdict


class RecordedRule:
    """One rollout's rule."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        chosen = rollout.settings
        self._rule = Rule(
            RuleSettings(
                objectives=chosen.objectives,
                policy=chosen.policy,
                planned_seconds=rollout.planned_seconds,
                warm_up_seconds=chosen.warm_up_seconds,
            )
        )

    @property
    def dropped(self) -> dict[str, int]:
        """What the rule itself refused, by reason."""
        return {}

    def start_step(self, step: RecordedStep, now: float, hold_seconds: float) -> None:
        wanted = self._rollout.settings.min_requests if step.min_requests is None else step.min_requests
        self._rule.start_step(now, step.weight_percent, hold_seconds, wanted)

    def take(self, news: News) -> None:
        for source, rows in news.requests.items():
            self._rule.add_samples(_samples(self._rollout, source, rows))
        self._rule.add_blocks(news.blocks)
        self._rule.add_events(news.events)
        self._rule.add_pairs(news.items)

    def judge(self, now: float, at_end: bool) -> Judgement:
        found = self._rule.judge_step_end(now) if at_end else self._rule.judge(now)
        return _under(found, 1 / self._rollout.settings.alpha)


def _under(found: Judgement, threshold: float) -> Judgement:
    """The judgement under another threshold; hard limits and objectives need none."""
    if math.isclose(threshold, THRESHOLD, rel_tol=0.01):
        return found
    sequential = found.deciding is not None and found.deciding.evidence is not None
    known = [c for c in found.checks if c.evidence is not None and c.signal in WEIGHTS]
    if found.evidence >= threshold and found.verdict is not Verdict.FAIL and known:
        leading = max(known, key=lambda c: WEIGHTS[str(c.signal)] * (c.evidence or 0.0))
        found = replace(found, verdict=Verdict.FAIL, deciding=leading.settled(Verdict.FAIL))
    elif found.verdict is Verdict.FAIL and sequential and found.evidence < threshold:
        found = replace(found, verdict=Verdict.INCONCLUSIVE)
    return replace(found, threshold=threshold)


def _samples(rollout: Rollout, source: Source, rows: Requests) -> list[RequestSample]:
    log = rollout.requests[source]
    outcomes = {WAITS: None, OK: Outcome.OK}
    return [
        RequestSample(
            f"{source}-{request}",
            source,
            Arm.CANARY if rows.canary[i] else Arm.BASELINE,
            pair_id=str(log.pair[request]) if log.pair[request] >= 0 else None,  # type: ignore[call-overload]
            replica=rollout.replicas[rows.replica[i]][1],
            sent_at=float(rows.started[i]),
            first_token_at=_known(rows.first_token[i]),
            finished_at=_known(rows.finished[i]),
            itl_mean_seconds=_known(rows.itl_mean[i]),
            outcome=outcomes.get(int(rows.outcome[i]), Outcome.ERROR),
            status=400 if rows.outcome[i] == CLIENT_ERROR else None,
        )
        for i, request in enumerate(rows.ids)
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
