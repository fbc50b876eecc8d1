"""The tables, from made-up results."""

from dataclasses import replace
from pathlib import Path

from benchmarks.decisions import claims
from benchmarks.decisions.__main__ import chosen
from benchmarks.decisions.report import table
from benchmarks.decisions.results import Result, Results

ROLLED_BACK = Result("20/M/quiet", 0, "tidegate", "ROLLBACK", 90.0, "ttft", "FAIL", 0.01, 0.02)
PROMOTED = replace(ROLLED_BACK, action="PROMOTE", at_seconds=1800.0, signal="", verdict="PASS")
HELD = replace(PROMOTED, action="HOLD", verdict="INCONCLUSIVE")


def _results(folder: Path, *found: Result) -> Results:
    results = Results(folder, ["tidegate", "flagger"])
    results.add(replace(one, seed=seed) for seed, one in enumerate(found))
    return results


def test_a_row_says_who_rolled_back_how_often_when_and_why(tmp_path: Path) -> None:
    peer = replace(ROLLED_BACK, rule="flagger", at_seconds=660.0, signal="errors")
    results = _results(tmp_path, ROLLED_BACK, PROMOTED, HELD, HELD)
    results.add([peer])
    rows = table(chosen(["20/M/quiet"]), results, ["tidegate", "flagger"], range(4)).splitlines()
    assert rows[0] == "## Good canaries, 20 replicas: rolled back"
    assert rows[2] == "| cell | rollouts | tidegate | flagger | held, promoted | why rolled back | aim |"
    assert rows[3] == "|---|---|---|---|---|---|---|"
    assert rows[4] == (
        "| 20/M/quiet | 4 | 25 % (0.63-81) @ 90 | 100 % (2.5-100) @ 660 | 50 %, 25 % | ttft 1 "
        "| <= 0.1 %: NOT met |"
    )


def test_an_aim_is_met_by_the_point_estimate(tmp_path: Path) -> None:
    found = table(chosen(["20/M/quiet"]), _results(tmp_path, PROMOTED), ["tidegate"], range(1))
    assert found.endswith("| <= 0.1 %: met |")


def test_faults_are_aimed_at_by_share_and_median(tmp_path: Path) -> None:
    late = replace(ROLLED_BACK, cell="20/M/ttft_x2")
    found = table(chosen(["20/M/ttft_x2"]), _results(tmp_path, late), ["tidegate"], range(1))
    assert found.endswith("| >= 100 %, @ <= 80: NOT met |")
    soon = replace(late, at_seconds=80.0)
    found = table(chosen(["20/M/ttft_x2"]), _results(tmp_path / "soon", soon), ["tidegate"], range(1))
    assert found.endswith("| >= 100 %, @ <= 80: met |")


def test_good_canaries_of_a_group_are_also_counted_together(tmp_path: Path) -> None:
    results = _results(tmp_path, ROLLED_BACK, PROMOTED, replace(PROMOTED, cell="20/L/noisy"))
    found = table(chosen(["good-20"]), results, ["tidegate"], range(3))
    assert found.splitlines()[-1].startswith("| together | 3 | 33 % (0.84-91) @ 90 |")


def test_no_result_is_no_row(tmp_path: Path) -> None:
    assert table(chosen([]), _results(tmp_path), ["tidegate"], range(9)) == ""


def test_a_claim_is_held_to_the_truth(tmp_path: Path) -> None:
    cell = "1+1/M/ttft_x1_5"
    covers = {"ttft": {"value": 1.4, "low": 1.2, "high": 1.6, "would_find": 1.3}}
    misses = {"ttft": {"value": 1.9, "low": 1.7, "high": 2.1, "would_find": None}}
    found = [replace(ROLLED_BACK, cell=cell, said=misses), replace(PROMOTED, cell=cell, said=covers)]
    row = claims.table(chosen([cell]), _results(tmp_path, *found), range(2)).splitlines()[-1]
    assert row == f"| {cell} | 0 % (0-98) | 100 % (2.5-100) | - | - | ttft x1.30 |"


def test_nothing_said_is_no_table(tmp_path: Path) -> None:
    assert claims.table(chosen(["20/M/quiet"]), _results(tmp_path, PROMOTED), range(1)) == ""
