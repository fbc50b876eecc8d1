"""The live rule as a replay drives it: a recorded rollout's columns in, a `Judgement` out.

Owns what turns recorded rows into what `Rule` takes, and nothing of the decision.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from guard.core.observations import CLIENT_ERROR, OK, WAITS, Codes, Requests, take
from guard.core.replay_feed import News
from guard.core.rollout import RecordedStep, Rollout
from guard.core.rule import Judgement, Rule, RuleSettings
from guard.core.samples import Arm, Outcome, RequestSample, Source

_OUTCOMES = {WAITS: None, OK: Outcome.OK}


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
                alpha=chosen.alpha,
            )
        )
        self._codes: Codes = np.full(len(rollout.replicas), -1, np.int32)  # recorded code -> the rule's

    @property
    def dropped(self) -> Mapping[str, int]:
        """What the rule itself refused, by reason."""
        return self._rule.dropped

    def start_step(self, step: RecordedStep, now: float, hold_seconds: float) -> None:
        wanted = self._rollout.settings.min_requests if step.min_requests is None else step.min_requests
        fleet = (
            self._replicas(step.canary_replicas, Arm.CANARY),
            self._replicas(step.baseline_replicas, Arm.BASELINE),
        )
        self._rule.start_step(now, step.weight_percent, hold_seconds, wanted, *fleet)

    def _replicas(self, recorded: int | None, arm: Arm) -> int:
        """As recorded; else those that were seen so far."""
        if recorded is not None:
            return recorded
        seen = zip(self._rollout.replicas, self._codes.tolist(), strict=True)
        return max(1, len([name for (whose, name), code in seen if code >= 0 and whose == arm]))

    def take(self, news: News) -> None:
        for source, rows in news.requests.items():
            rows = replace(rows, replica=self._known_codes(rows.replica))
            paired = news.pair[source] >= 0
            if paired.any():
                self._rule.add_samples(self._samples(source, take(rows, paired), news.pair[source][paired]))
            if not paired.all():
                self._rule.add_requests(source, take(rows, ~paired))
        self._rule.add_blocks(news.blocks)
        self._rule.add_events(news.events)
        self._rule.add_histograms(news.histograms)
        self._rule.add_pairs(news.items)

    def _known_codes(self, recorded: Codes) -> Codes:
        """The rule's codes of replicas, given as they appear."""
        for code in np.unique(recorded[self._codes[recorded] < 0]).tolist():
            arm, name = self._rollout.replicas[code]
            self._codes[code] = self._rule.replicas.code(Arm(arm), name)
        return self._codes[recorded]

    def judge(self, now: float, at_end: bool) -> Judgement:
        return self._rule.judge_step_end(now) if at_end else self._rule.judge(now)

    def _samples(self, source: Source, rows: Requests, pair: Codes) -> list[RequestSample]:
        """Halves of pairs as objects: the rule joins them one by one, and there are few."""
        names = self._rule.replicas.names
        return [
            RequestSample(
                str(request),
                source,
                Arm.CANARY if rows.canary[i] else Arm.BASELINE,
                pair_id=str(pair[i]),
                replica=names[rows.replica[i]].partition("/")[2],
                sent_at=float(rows.started[i]),
                first_token_at=_known(rows.first_token[i]),
                itl_mean_seconds=_known(rows.itl_mean[i]),
                finished_at=_known(rows.finished[i]),
                outcome=_OUTCOMES.get(int(rows.outcome[i]), Outcome.ERROR),
                status=400 if rows.outcome[i] == CLIENT_ERROR else None,
            )
            for i, request in enumerate(rows.ids)
        ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
