import json
import math

import numpy as np
import pytest

from guard.core.onset_mixture import OnsetMixture


def _mixture(log_bets, *, first_prior=0.5, planned=5):
    """One bin's bets a row, each on all onsets so far, of one effect."""
    mixture = OnsetMixture(first_prior, planned)
    for bets in log_bets:
        mixture.open()
        mixture.add(np.array([bets], float))
    return mixture


def test_nothing_opened_is_no_evidence():
    assert OnsetMixture(0.5, 180, 4).evidence() == 1.0


def test_onsets_that_have_not_bet_leave_1():
    assert _mixture([[0], [0, 0]]).evidence() == pytest.approx(1)
    assert _mixture([[math.log(3)]]).evidence() == pytest.approx(0.5 * 3 + 0.5)


def test_each_onset_bets_with_its_prior():
    mixture = _mixture([[math.log(2)], [math.log(5), math.log(7)]])
    assert mixture.evidence() == pytest.approx(0.5 * 2 * 5 + 0.125 * 7 + 0.375)


def test_effects_are_averaged():
    mixture = OnsetMixture(0.6, 3, effects=2)
    mixture.open()
    mixture.add(np.log([[4.0], [0.5]]))
    assert mixture.evidence() == pytest.approx((0.6 * 4 + 0.6 * 0.5) / 2 + 0.4)


@pytest.mark.parametrize(("planned", "left"), [(1, 0.5), (2, 0.0), (3, 0.25)])
def test_lost_bets_leave_the_prior_that_is_not_spent(planned, left):
    lost = np.full((1, 2), -np.inf)
    assert OnsetMixture(0.5, planned).evidence_of(lost) == pytest.approx(left)


def test_bins_beyond_the_planned_ones_open_no_onset():
    mixture = _mixture([[0], [0, 0], [0, math.log(9)]], planned=2)
    assert mixture.opened == 2
    assert mixture.evidence() == pytest.approx(0.5 + 0.5 * 9)
    assert mixture.evidence_of(np.zeros(7)) == pytest.approx(1)


def test_overwhelming_bets_stay_finite():
    assert math.isfinite(_mixture([[5000.0]]).evidence())
    assert OnsetMixture(0.5, 3).evidence_of(np.array([np.inf, 0.0])) > 1e300


def test_prior_is_a_distribution_over_the_planned_bins():
    for planned in (2, 3, 180):
        mixture = OnsetMixture(0.6, planned)
        assert mixture.evidence_of(np.zeros(planned)) == pytest.approx(1, abs=1e-12)
        assert mixture.evidence_of(np.full(planned, math.log(8))) == pytest.approx(8)


def test_betting_every_bin_anew_without_mixture_would_exceed_1():
    """The known-bad case: the best onset, chosen afterwards, has a mean far above 1; the mixture has 1."""
    steps = np.random.default_rng(5).normal(-0.5, 1.0, (4000, 30))  # ln of bets of mean 1
    backwards = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]  # L of each onset
    mixture = OnsetMixture(0.5, 30)
    values = np.array([mixture.evidence_of(row) for row in backwards])
    assert np.exp(backwards.max(axis=1)).mean() > 3
    assert values.mean() < 1 + 3 * values.std() / math.sqrt(len(values))


@pytest.mark.parametrize("interrupted_at", [0, 1, 12, 25])
def test_resumed_mixture_goes_on_with_the_same_bits(interrupted_at):
    rng = np.random.default_rng(3)
    whole = resumed = OnsetMixture(0.5, 20, 4)
    for bin_ in range(26):
        if bin_ == interrupted_at:
            resumed = OnsetMixture.from_state(json.loads(json.dumps(whole.state())))
        for mixture in {whole, resumed}:
            mixture.open()
        bets = rng.normal(size=(4, whole.opened))
        for mixture in {whole, resumed}:
            mixture.add(bets)
    assert resumed is not whole
    assert resumed.evidence() == whole.evidence()


def test_likeliest_onset_weighs_its_prior():
    assert OnsetMixture(0.5, 5).likeliest == 0
    assert _mixture([[0], [0, 0], [math.log(4)] * 2 + [math.log(15)]]).likeliest == 0  # .125 x 15 < .5 x 4
    assert _mixture([[0], [0, 0], [math.log(4)] * 2 + [math.log(17)]]).likeliest == 2


def test_onset_that_only_lost_least_is_not_the_likeliest():
    assert _mixture([[-9], [-9, 0], [-9, -9, 0]]).likeliest == 0
