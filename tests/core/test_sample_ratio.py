import json
import math

import numpy as np
import pytest

from guard.core.observations import Marks
from guard.core.sample_ratio import SETTLE_SECONDS, THRESHOLD, SampleRatio, dispersion
from guard.core.verdict import NotJudged, Verdict


def _marks(at, canary):
    return Marks(np.asarray(at, float), np.asarray(canary, np.bool_), np.zeros(len(at), np.int32))


def _independent(rng, *, share, seconds=600.0, rate=10.0):
    at = rng.uniform(0, seconds, rng.poisson(rate * seconds))
    return _marks(at, rng.random(len(at)) < share)


def _sessions(rng, *, share, seconds=600.0, rate=10.0, length=10, gap=10.0):
    """Clients that stay with one arm for a geometric number of requests."""
    begun = rng.uniform(-4 * length * gap, seconds, int(rate * (seconds + 4 * length * gap) / length))
    lengths = rng.geometric(1 / length, len(begun))
    canary = np.repeat(rng.random(len(begun)) < share, lengths)
    since = np.concatenate([np.cumsum(rng.exponential(gap, n)) - gap for n in lengths])
    at = np.repeat(begun, lengths) + since
    return _marks(at[at < seconds], canary[at < seconds])


def _fed(marks, weight=25, start=0.0):
    ratio = SampleRatio()
    ratio.start_step(start, weight)
    ratio.add(marks)
    return ratio


def _largest(ratio, seconds=600.0):
    return max(ratio.evidence(now) for now in np.arange(0, seconds + 1, 30.0))


@pytest.mark.parametrize("rollouts", [8, pytest.param(300, marks=pytest.mark.rates)])
@pytest.mark.parametrize("traffic", [_independent, _sessions])
@pytest.mark.parametrize("weight", [5, 25, 50])
def test_a_route_that_keeps_its_weight_is_hardly_ever_a_mismatch(traffic, weight, rollouts):
    share = weight / 100
    found = [_largest(_fed(traffic(np.random.default_rng(s), share=share), weight)) for s in range(rollouts)]
    assert sum(value >= THRESHOLD for value in found) <= 0.005 * rollouts


@pytest.mark.parametrize("share", [0.0, 0.12, 0.15, 0.4, 1.0])
def test_a_route_that_does_not_is_held_and_says_both_shares(share):
    ratio = _fed(_independent(np.random.default_rng(1), share=share))
    check = ratio.check(600.0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.evidence >= check.threshold == THRESHOLD
    assert check.reason.startswith(f"the route says 25 %, the canary got {100 * check.value:.3g} % of ")
    assert check.value == pytest.approx(share, abs=0.02)


def test_the_words_are_as_a_person_would_count():
    at = np.repeat(np.arange(30.0, 1230.0, 10.0), 10)
    ratio = _fed(_marks(at, np.arange(1200) % 20 < 3))
    assert ratio.check(1230.0).reason == (
        "the route says 25 %, the canary got 15 % of 1,200 requests: no mismatch found"
    )


def test_a_share_within_a_tenth_of_the_weight_is_no_mismatch_however_much_is_seen():
    ratio = _fed(_independent(np.random.default_rng(2), share=0.235, rate=200.0))
    assert ratio.evidence(600.0) < 1


def test_the_first_moments_after_a_change_of_weight_do_not_count():
    at = np.arange(0.0, SETTLE_SECONDS, 0.01)
    assert _fed(_marks(at, at < 0)).evidence(60.0) == 1.0


def test_a_step_begins_anew():
    ratio = _fed(_independent(np.random.default_rng(3), share=0.0))
    assert ratio.evidence(600.0) > THRESHOLD
    ratio.start_step(600.0, 50)
    assert ratio.evidence(630.0) == 1.0


@pytest.mark.parametrize(
    ("weight", "marks"),
    [
        pytest.param(25, _marks([], []), id="no request"),
        pytest.param(25, _marks([np.nan, np.inf, -5.0], [True] * 3), id="no moment"),
        pytest.param(0, _marks([50.0] * 99, [True] * 99), id="weight 0"),
        pytest.param(100, _marks([50.0] * 99, [False] * 99), id="weight 100"),
    ],
)
def test_without_two_arms_or_requests_nothing_is_compared(weight, marks):
    check = _fed(marks, weight).check(600.0)
    assert check.verdict is NotJudged.NOT_COMPARED
    assert _fed(marks, weight).evidence(600.0) == 1.0
    assert SampleRatio().check(600.0).verdict is NotJudged.NOT_COMPARED


def test_counters_say_what_single_requests_say():
    marks = _independent(np.random.default_rng(4), share=0.2)
    counted = _fed(_marks([], []))
    seconds = np.floor(marks.at)
    at = np.unique(seconds)
    canary, every = (
        np.array([(which & (seconds == s)).sum() for s in at]) for which in (marks.canary, seconds >= 0)
    )
    counted.add_counts(at, canary, every)
    assert counted.evidence(600.0) == _fed(marks).evidence(600.0)


def test_evidence_does_not_depend_on_looks_order_or_a_restart():
    rng = np.random.default_rng(5)
    marks = _independent(rng, share=0.18)
    at_once = _fed(marks).evidence(600.0)
    looked, order = _fed(_marks([], [])), rng.permutation(len(marks.at))
    for part in np.array_split(order, 5):
        looked.add(_marks(marks.at[part], marks.canary[part]))
        looked = SampleRatio.from_state(json.loads(json.dumps(looked.state(), allow_nan=False)))
    _largest(looked)
    assert looked.evidence(600.0) == at_once
    assert SampleRatio.from_state(json.loads(json.dumps(SampleRatio().state()))).evidence(9.0) == 1.0


@pytest.mark.parametrize(("length", "least", "most"), [(1, 1.0, 8.0), (40, 15.0, math.inf)])
def test_dispersion_grows_with_the_length_of_bursts(length, least, most):
    rng = np.random.default_rng(6)
    bursts = rng.binomial(10, 0.25, 100)
    assert least <= dispersion(np.stack([length * bursts, np.full(100, 10 * length)], axis=1)) <= most
