"""What simulated rollouts are like."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.decisions.faults import FAULTS
from benchmarks.decisions.rollout import ERROR, OK, PROBE, REFUSED, TIMEOUT, USER, Requests, Rollout
from benchmarks.decisions.scenario import Scenario, generate

SMALL = Scenario("1+1", "L")


def _ttft(rollout: Rollout, canary: bool) -> float:
    requests = rollout.requests
    seconds = (requests.first_token_at - requests.sent_at)[requests.canary == canary]
    return float(np.nanmedian(seconds))


def _share(rollout: Rollout, outcome: int) -> float:
    requests = rollout.requests
    return float((requests.outcome[requests.canary] == outcome).mean())


def test_a_seed_gives_the_same_rollout_again_and_another_gives_another() -> None:
    one, again, other = (generate(SMALL, seed).requests for seed in (7, 7, 8))
    assert (one.finished_at == again.finished_at).all()
    assert len(one) != len(other) or (one.sent_at != other.sent_at).any()


def test_scenarios_of_one_seed_share_no_randomness() -> None:
    one, other = generate(SMALL, 7).requests, generate(Scenario("1+1", "L", noise=2.0), 7).requests
    assert len(one) != len(other) or (one.sent_at != other.sent_at).all()


@pytest.mark.parametrize(("traffic", "about"), [("L", 50), ("M", 500)])
def test_traffic_level_says_how_many_canary_requests_the_first_step_has(traffic: str, about: int) -> None:
    counts = []
    for seed in range(5):
        requests = generate(Scenario(traffic=traffic), seed).requests
        counts.append(int((requests.canary & (requests.sent_at < 900)).sum()))
    assert 0.7 * about < np.mean(counts) < 1.3 * about


def test_times_are_in_order_in_every_request() -> None:
    requests = generate(Scenario("1+1", "M", "err_5pct", outages=1), 3).requests
    assert (np.diff(requests.sent_at) >= 0).all()
    assert (requests.finished_at >= requests.sent_at).all()
    begun = ~np.isnan(requests.first_token_at)
    assert (requests.first_token_at[begun] > requests.sent_at[begun]).all()
    assert (requests.finished_at[begun] >= requests.first_token_at[begun]).all()
    assert set(np.unique(requests.outcome)) == {OK, ERROR}


def test_replicas_serve_only_while_they_are_there() -> None:
    rollout = generate(Scenario("20", "M"), 3)
    requests, late = rollout.requests, rollout.requests.sent_at >= 900
    for canary, before, after in ((True, 1, 5), (False, 19, 15)):
        mine = (requests.canary == canary) & (requests.sent_at >= 0)
        assert len(np.unique(requests.replica[mine & ~late])) == before
        assert len(np.unique(requests.replica[mine & late])) == after
    assert len(np.unique(requests.replica[requests.sent_at < 0])) == 20


def test_a_warm_canary_was_ready_minutes_before_and_a_cold_one_just_now() -> None:
    ready = {
        cold: [e.at for e in generate(Scenario("20", "L", cold=cold), 1).events if e.kind == "ready"]
        for cold in (False, True)
    }
    assert ready == {False: [-240.0] + [660.0] * 4, True: [0.0] + [900.0] * 4}


def test_a_cold_canary_is_slow_at_first_and_then_as_fast_as_any() -> None:
    requests = generate(Scenario("1+1", "M", cold=True), 1).requests
    ttft = requests.first_token_at - requests.sent_at
    first, last = (
        np.nanmedian(ttft[requests.canary & (requests.sent_at >= low) & (requests.sent_at < high)])
        for low, high in ((0, 40), (900, 1800))
    )
    assert first > 1.8 * last


def test_the_canary_of_two_unlike_arms_is_faster_for_its_lighter_load_alone() -> None:
    rollouts = [generate(Scenario("1+1", "M"), seed) for seed in range(4)]
    ratios = [_ttft(rollout, True) / _ttft(rollout, False) for rollout in rollouts]
    assert 0.7 < float(np.mean(ratios)) < 0.95


def test_no_data_is_no_canary_request_and_no_item() -> None:
    rollout = generate(Scenario("1+1", "M", no_data=True), 1)
    assert not rollout.requests.canary.any()
    assert len(rollout.evals.answered_at) == 0


def test_probes_ask_both_arms_the_same_at_the_same_moment() -> None:
    requests = generate(Scenario("1+2", "L", probe_every_seconds=5.0), 1).requests
    rows = np.flatnonzero(requests.source == PROBE)
    assert len(rows) == 2 * 360
    assert (requests.pair[requests.source == USER] == -1).all()
    rows = rows[np.lexsort((requests.canary[rows], requests.pair[rows]))]
    left, right = rows[::2], rows[1::2]
    assert (requests.canary[left] != requests.canary[right]).all()
    for column in (requests.pair, requests.sent_at, requests.prompt_tokens):
        assert (column[left] == column[right]).all()


@pytest.mark.parametrize(
    ("fault", "outcome", "low", "high"),
    [
        ("null", ERROR, 0.0, 0.012),
        ("err_5pct", ERROR, 0.035, 0.08),
        ("err_2pct", ERROR, 0.012, 0.04),
        ("dead", REFUSED, 1.0, 1.0),
        ("crashloop", REFUSED, 0.02, 0.07),
        ("hang_5pct", TIMEOUT, 0.03, 0.07),
    ],
)
def test_a_fault_fails_its_share_of_the_canarys_requests(
    fault: str, outcome: int, low: float, high: float
) -> None:
    assert low <= _share(generate(Scenario("20", "M", fault), 2), outcome) <= high


@pytest.mark.parametrize(("fault", "ratio"), [("ttft_x2", 2.0), ("ttft_x1_5", 1.5), ("within_margin", 1.05)])
def test_a_slower_canary_is_slower_by_as_much_as_its_name_says(fault: str, ratio: float) -> None:
    found = [
        _ttft(r, True) / _ttft(r, False) for r in (generate(Scenario("20", "M", fault), s) for s in range(5))
    ]
    assert np.mean(found) == pytest.approx(ratio, rel=0.06)


def test_the_tails_fault_leaves_the_median_alone() -> None:
    found = [
        _ttft(r, True) / _ttft(r, False) for r in (generate(Scenario("20", "M", "tail"), s) for s in range(5))
    ]
    assert np.mean(found) == pytest.approx(1.0, rel=0.06)


def test_a_worse_model_loses_ten_points_of_its_items() -> None:
    evals = [generate(Scenario("1+1", "L", "qual_-10"), seed).evals for seed in range(10)]
    lost = [one.baseline_pass.mean() - one.canary_pass.mean() for one in evals]
    assert np.mean(lost) == pytest.approx(0.10, abs=0.03)


def test_a_fault_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        generate(Scenario(fault="gremlins"), 1)
    assert "gremlins" not in FAULTS


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"slow_canary": True}, 1.05, 1.3),
        ({"canary_hits": 0.25}, 1.03, 1.4),
        ({"canary_hits": 0.7}, 0.7, 0.97),
    ],
    ids=["slower hardware", "colder cache", "warmer cache"],
)
def test_a_confounder_shifts_the_canarys_median(changes: dict[str, Any], low: float, high: float) -> None:
    rollouts = [generate(Scenario("20", "M", **changes), seed) for seed in range(4)]
    if "slow_canary" in changes:  # the first of five
        rollouts = [_first_step(rollout) for rollout in rollouts]
    assert low < np.mean([_ttft(r, True) / _ttft(r, False) for r in rollouts]) < high


def _first_step(rollout: Rollout) -> Rollout:
    keep = (rollout.requests.sent_at >= 0) & (rollout.requests.sent_at < 900)
    columns = {name: column[keep] for name, column in vars(rollout.requests).items()}
    return replace(rollout, requests=Requests(**columns))


def test_an_incident_is_one_slow_half_minute_of_the_canary() -> None:
    requests = generate(Scenario("1+1", "H", incident=True), 2).requests
    mine = requests.canary & ~np.isnan(requests.itl_mean)
    minute = (requests.sent_at[mine] // 10).astype(int)
    medians = np.array([np.median(requests.itl_mean[mine][minute == m]) for m in range(180)])
    slow = np.flatnonzero(medians > 1.3 * np.median(medians))
    assert 1 <= len(slow) <= 7
    assert slow[-1] - slow[0] == len(slow) - 1


def test_an_autoscaler_adds_replicas_to_the_baseline_alone_and_tells_of_it() -> None:
    rollout = generate(Scenario("1+1", "M", autoscaler=True), 1)
    ((_, joined),) = [(e.canary, e.at) for e in rollout.events if e.kind == "ready" and not e.canary]
    requests = rollout.requests
    assert (requests.sent_at[requests.replica == 2] >= joined).all()
    assert not requests.canary[requests.replica == 2].any()
    assert (requests.replica == 2).any()
