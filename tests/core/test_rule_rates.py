"""How often the rule is wrong, and how soon it is right, on simulated counters of a gateway.

One canary and one stable replica behind one counter each, blocks of 2 s, no history before the step: the
hardest start. The first 30 seeds once showed a false rollback (4xx counted against a stable seen for six
requests), which changed the rule; so those prove nothing about its rate. On 4,800 others, half of them with
300 s of history, 3 good rollouts were rolled back, all by a hard limit. Here it is none of 400 (a rate above
.75 % would show with 95 %), and of 20 in the default layer, which would show a rule that is broken.
"""

from collections import Counter

import numpy as np
import pytest

from guard.core.blocks import CounterBlock
from guard.core.rule import Rule, RuleSettings
from guard.core.samples import Arm, Source
from guard.core.verdict import Verdict

BLOCK = 2.0


class _Arm:
    """One replica's requests and errors in successive blocks; its errors may come in incidents."""

    def __init__(self, rng, arm, rate, errors, incidents_per_hour):
        self._rng, self._arm, self._rate, self._errors = rng, arm, rate, errors
        self._incident_chance = incidents_per_hour * BLOCK / 3600
        self._until = -1.0

    def block(self, at):
        if self._rng.random() < self._incident_chance:
            self._until = at + 10.0
        ratio = 0.5 if at < self._until else self._errors
        n = int(self._rng.poisson(self._rate * BLOCK))
        bad = int(self._rng.binomial(n, ratio))
        errors = {"400": bad} if bad else {}
        return CounterBlock(Source.USER, self._arm, str(self._arm), at, BLOCK, n, errors)


def _rollout(seed, *, canary=0.0, stable=0.0, rate=0.5, stable_rate=0.5, incidents=0.0, seconds=240):
    """(seconds, canary requests, verdict) when it failed, or at the end of the step."""
    rng = np.random.default_rng(seed)
    arms = [
        _Arm(rng, Arm.CANARY, rate, canary, incidents),
        _Arm(rng, Arm.BASELINE, stable_rate, stable, incidents),
    ]
    rule, requests = Rule(RuleSettings()), 0
    rule.start_step(0.0, 50, seconds, 20)
    for i in range(int(seconds / BLOCK)):
        blocks = [arm.block(i * BLOCK) for arm in arms]
        requests += blocks[0].requests
        rule.add_blocks(blocks)
        now = (i + 1) * BLOCK
        if i % 2 and rule.judge(now).verdict is Verdict.FAIL:
            return now, requests, Verdict.FAIL
    return seconds, requests, rule.judge_step_end(seconds).verdict


@pytest.mark.parametrize("rollouts", [5, pytest.param(100, marks=pytest.mark.rates)])
@pytest.mark.parametrize(
    "null",
    [
        {},
        {"canary": 0.03, "stable": 0.03},
        {"canary": 0.3, "stable": 0.3, "rate": 2.0, "stable_rate": 2.0},
        {"canary": 0.01, "stable": 0.01, "rate": 2.0, "stable_rate": 2.0, "incidents": 1.0},
    ],
    ids=["no errors", "independent errors", "many refusals", "errors in incidents of a replica"],
)
def test_good_canary_is_not_rolled_back(null, rollouts):
    verdicts = Counter(_rollout(9000 + seed, **null)[2] for seed in range(rollouts))
    assert verdicts.keys() <= {Verdict.PASS, Verdict.INCONCLUSIVE}
    # Held for doubt at the moment that the hold ends: one in five by Markov's inequality, here 3 or 4 of 100.
    assert verdicts[Verdict.INCONCLUSIVE] <= rollouts / 10


@pytest.mark.parametrize("rollouts", [10, pytest.param(100, marks=pytest.mark.rates)])
def test_a_quarter_of_refused_requests_is_found_within_a_few_minutes(rollouts):
    found = [_rollout(9000 + seed, canary=0.25) for seed in range(rollouts)]
    assert sum(verdict is Verdict.FAIL for _, _, verdict in found) >= 0.9 * rollouts
    assert np.median([requests for _, requests, _ in found]) <= 60
