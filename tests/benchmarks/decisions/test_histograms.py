"""Blocks of counters and histograms, by hand and of a simulated rollout."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.decisions.decision import Settings
from benchmarks.decisions.engine import judge, recorded
from benchmarks.decisions.folder import write
from benchmarks.decisions.histograms import Blocks, blocks
from benchmarks.decisions.rollout import Rollout
from benchmarks.decisions.scenario import Scenario, generate
from guard.adapters.rollout_folder import read_rollout
from tests.benchmarks.decisions.made import rollout


def _of(found: Blocks, signal: str, start: float, replica: int = 0) -> list[tuple[float, int, float]]:
    return [
        (float(le), int(count), float(total))
        for r, at, name, le, count, total in zip(
            found.replica, found.start, found.signal, found.le, found.count, found.sum, strict=True
        )
        if (r, at, name) == (replica, start, signal)
    ]


def _made() -> Rollout:
    made = rollout([(1.0, 1.3, 15.0, False), (2.0, 2.6, 15.5, True), (3.0, None, 4.0, True)])
    tokens = np.array([11, 0, 0])
    return replace(made, requests=replace(made.requests, output_tokens=tokens, itl_mean=np.full(3, 0.03)))


def test_requests_and_errors_count_in_the_block_that_they_end_in() -> None:
    found = blocks(_made())
    assert [(count) for _, count, _ in _of(found, "requests", 0.0)] == [2]  # at 4 and, on its end, at 15
    assert [(count) for _, count, _ in _of(found, "errors", 0.0)] == [1]
    assert [(count) for _, count, _ in _of(found, "errors", 15.0)] == [1]
    assert _of(found, "requests", 30.0) == []


def test_buckets_are_cumulative_and_the_last_has_the_sum() -> None:
    ttft = _of(blocks(_made()), "ttft", 0.0)
    by_edge = {le: count for le, count, _ in ttft}
    assert (by_edge[0.25], by_edge[0.5], by_edge[0.75], by_edge[math.inf]) == (0, 1, 2, 2)
    assert ttft[-1][2] == pytest.approx(0.3 + 0.6)
    assert all(math.isnan(total) for _, _, total in ttft[:-1])


def test_itl_counts_each_gap_of_a_good_request() -> None:
    itl = _of(blocks(_made()), "itl", 0.0)
    by_edge = {le: count for le, count, _ in itl}
    assert (by_edge[0.025], by_edge[0.05], by_edge[math.inf]) == (0, 10, 10)
    assert itl[-1][2] == pytest.approx(0.3)


def test_blocks_miss_nothing_that_ended_in_time() -> None:
    made = generate(Scenario("1+2", "L", "err_5pct"), 1)
    found = blocks(made)
    requests = made.requests
    ended = requests.finished_at <= made.end_seconds
    counted = dict.fromkeys(("requests", "errors"), 0)
    for signal, count in zip(found.signal, found.count.tolist(), strict=True):
        if signal in counted:
            counted[signal] += count
    assert counted == {"requests": int(ended.sum()), "errors": int((ended & (requests.outcome != 0)).sum())}


def test_the_engine_sees_the_blocks_that_the_written_folder_holds(tmp_path: Path) -> None:
    simulated = generate(Scenario("1+1", "M", "ttft_x2"), 5)
    write(simulated, tmp_path / "r", 10.0)
    read, given = read_rollout(tmp_path / "r"), recorded(simulated, Settings(histogram_seconds=10.0))
    assert {b.signal for b in read.histograms} == {"ttft", "itl"}
    assert sorted(map(repr, given.histograms)) == sorted(map(repr, read.histograms))
    assert sorted(map(repr, given.blocks)) == sorted(map(repr, read.blocks))
    assert not given.requests


def test_a_doubled_ttft_is_found_by_histograms_within_a_block_of_when_requests_tell() -> None:
    simulated = generate(Scenario("1+1", "M", "ttft_x2"), 1)
    by_requests, by_histograms = (judge(simulated, Settings(histogram_seconds=s)) for s in (None, 10.0))
    assert (by_requests.action, by_histograms.action) == ("ROLLBACK", "ROLLBACK")
    assert abs(by_requests.at_seconds - by_histograms.at_seconds) <= 10.0
