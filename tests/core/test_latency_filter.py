import json
import math

import numpy as np
import pytest

from guard.core.latency_filter import PHI, DifferenceFilter

MACHINES, WANDER, NOISE = 2 * 0.0275**2, 2 * 0.06**2, 0.05**2


def _run(differences, *, machines=MACHINES, wander=WANDER, noise=NOISE, planned=180, into=None):
    filter_ = into or DifferenceFilter(planned)
    if not filter_.begun:
        filter_.widen(machines, wander)
    for d in differences:
        filter_.open_bin()
        if d is not None:
            filter_.observe(d, noise, 1.15)
        filter_.end_bin(wander)
    return filter_


def _by_model(rng, bins, *, noise=NOISE, inflated=1.0):
    """d of each bin as the model has it without effect."""
    u = rng.normal(0, math.sqrt(WANDER))
    a = rng.normal(0, math.sqrt(MACHINES))
    for _ in range(bins):
        yield a + u + rng.normal(0, math.sqrt(inflated * noise))
        u = PHI * u + rng.normal(0, math.sqrt(WANDER * (1 - PHI**2)))


def test_nothing_observed_is_no_evidence():
    assert DifferenceFilter(180).mixture.evidence() == 1.0
    assert _run([None] * 50).mixture.evidence() == pytest.approx(1)


def test_first_bet_is_the_formula_of_the_rule():
    found = _run([0.4])
    f = MACHINES + WANDER + NOISE
    v = 1.15 * f
    e = min(0.4, 3 * math.sqrt(v))
    bets = [math.exp((delta * e - delta**2 / 2) / v) for delta in (0.12, 0.25, 0.45, 0.9)]
    assert found.mixture.evidence() == pytest.approx(0.5 * np.mean(bets) + 0.5)


def test_second_bet_takes_off_what_the_filter_has_absorbed():
    """By hand: the response of the filter to a step that began with the first bin."""
    found = _run([0.1, 0.1])
    f = MACHINES + WANDER + NOISE
    g0, g1 = MACHINES / f, WANDER / f
    x = 1 - g0 - g1 * PHI
    e = 0.1 - g0 * 0.1 - g1 * 0.1 * PHI
    p00, p01 = MACHINES - g0**2 * f, -g0 * g1 * f * PHI
    p11 = PHI**2 * (WANDER - g1**2 * f) + WANDER * (1 - PHI**2)
    v, v1 = 1.15 * (p00 + 2 * p01 + p11 + NOISE), 1.15 * f
    first = (0.25 * 0.1 - 0.25**2 / 2) / v1
    assert found.mixture.log_bets[1, 0] == pytest.approx(first + (0.25 * x * e - (0.25 * x) ** 2 / 2) / v)
    assert found.mixture.log_bets[1, 1] == pytest.approx((0.25 * e - 0.25**2 / 2) / v)


def test_response_of_an_onset_is_what_the_filter_does_with_a_step():
    """Without noise, a step of .2 leaves innovations of .2 x: so the filter's own numbers can be compared."""
    quiet, step = _run([0.0] * 30), _run([0.0] * 10 + [0.2] * 20)
    alpha, upsilon = np.array(step.state()["responses"])[:, 10]
    moved = [step.state()[name] - quiet.state()[name] for name in ("machine", "wander")]
    assert moved == pytest.approx([0.2 * alpha, 0.2 * upsilon])


def test_far_below_is_left_out_and_far_above_is_clipped():
    filter_ = _run([0.0] * 20)
    before = filter_.state()
    assert filter_.observe(-5.0, NOISE, 1.15) is None
    assert filter_.state() == before
    once, twice = _run([0.0] * 20 + [5.0]), _run([0.0] * 20 + [50.0])
    assert once.mixture.evidence() == twice.mixture.evidence()


@pytest.mark.parametrize("step", [0.25, 0.7])
def test_a_step_up_is_found_and_a_step_down_is_not(step):
    noise = list(_by_model(np.random.default_rng(2), 60))
    up = [d + step * (i >= 20) for i, d in enumerate(noise)]
    down = [d - step * (i >= 20) for i, d in enumerate(noise)]
    assert _run(up).mixture.evidence() > 20
    assert _run(down).mixture.evidence() < 1.1


def test_what_grows_as_slowly_as_noise_is_absorbed():
    assert _run(np.linspace(0, 0.2, 180)).mixture.evidence() < 2


FEW_OR_MANY = pytest.mark.parametrize("runs", [150, pytest.param(6000, marks=pytest.mark.rates)])


@FEW_OR_MANY
def test_no_effect_has_mean_evidence_of_at_most_1(runs):
    values = [
        _run(_by_model(np.random.default_rng(s), 40), planned=40).mixture.evidence() for s in range(runs)
    ]
    assert np.mean(values) < 1 + 2 * np.std(values) / math.sqrt(runs)


@FEW_OR_MANY
def test_noise_that_is_larger_than_the_filter_was_told_breaks_it(runs):
    """The known-bad case of the one above."""
    noisy = (list(_by_model(np.random.default_rng(s), 40, inflated=9.0)) for s in range(min(runs, 150)))
    assert np.mean([_run(d, planned=40).mixture.evidence() for d in noisy]) > 5


def test_silent_bins_let_the_slow_noise_return_but_not_the_machines():
    filter_ = _run([0.3] * 20)
    known = filter_.slow_variance
    _run([None] * 200, into=filter_)
    assert known < filter_.slow_variance < MACHINES + WANDER


def test_several_observations_of_one_bin_say_more_than_one():
    once, twice = _run([0.2]), DifferenceFilter(180)
    twice.widen(MACHINES, WANDER)
    twice.open_bin()
    for _ in range(2):
        twice.observe(0.2, NOISE, 1.15)
    assert twice.mixture.evidence() > once.mixture.evidence()
    assert twice.slow_variance < MACHINES + WANDER


@pytest.mark.parametrize("interrupted_at", [0, 17, 45])
def test_resumed_filter_goes_on_with_the_same_bits(interrupted_at):
    differences = list(_by_model(np.random.default_rng(9), 60))
    whole = _run(differences, planned=40)
    first = _run(differences[:interrupted_at], planned=40) if interrupted_at else DifferenceFilter(40)
    resumed = DifferenceFilter.from_state(json.loads(json.dumps(first.state())))
    assert _run(differences[interrupted_at:], into=resumed).state() == whole.state()
