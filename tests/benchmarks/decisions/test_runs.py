"""Seeds, results on disk, intervals, the table, and one rollout through the engine."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.decisions import versions
from benchmarks.decisions.__main__ import chosen, main
from benchmarks.decisions.cells import cells
from benchmarks.decisions.intervals import clopper_pearson
from benchmarks.decisions.report import GROUPS, figures, percent
from benchmarks.decisions.results import Result, Results
from benchmarks.decisions.rules import NAMES, OURS
from benchmarks.decisions.run import simulate
from benchmarks.decisions.seeds import seeds

RESULT = Result("1+1/L/dead", 3, "flagger", "ROLLBACK", 660.0, "errors", "", 0.01, 0.02)


def test_tuning_and_report_seeds_never_meet() -> None:
    ranges = [seeds("tuning", 1_000_000), seeds("report", 1_000_000), seeds("report", 1_000_000, batch=2)]
    assert [(r.start, r.stop) for r in ranges] == [(0, 10**6), (10**6, 2 * 10**6), (2 * 10**6, 3 * 10**6)]


@pytest.mark.parametrize(("count", "batch"), [(1_000_001, 1), (1, 0)])
def test_seeds_beyond_a_range_are_refused(count: int, batch: int) -> None:
    with pytest.raises(ValueError, match="batch"):
        seeds("report", count, batch)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 3000, 0.0, 0.001229),
        (1, 10, 0.002529, 0.445016),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.691503, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_intervals_are_clopper_and_pearsons(hits: int, total: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, total) == pytest.approx((low, high), abs=1e-6)


def test_shares_are_shown_with_their_interval() -> None:
    assert percent(1, 10) == "10 % (0.25-45)"
    assert percent(0, 3000) == "0 % (0-0.12)"
    assert percent(0, 0) == "-"


def test_rollbacks_after_the_time_asked_for_are_not_found() -> None:
    late = replace(RESULT, at_seconds=1200.0)
    found = figures([RESULT, late, replace(RESULT, action="PROMOTE"), replace(RESULT, action="HOLD")], 900.0)
    assert (found.total, found.rolled_back, found.promoted, found.median_seconds) == (4, 1, 1, 660.0)
    assert found.signals == {"errors": 1}


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Results(tmp_path, NAMES)
    first.add([RESULT])
    (file,) = (f for f in tmp_path.iterdir() if f.name.startswith("flagger-"))
    file.write_text(file.read_text() + json.dumps({"cell": "1+1/L/dead"}) + "\n" + '{"cell": "1+1/L', "utf-8")
    again = Results(tmp_path, NAMES)
    assert again.missing("1+1/L/dead", 3) == tuple(name for name in NAMES if name != "flagger")
    assert again.of("flagger", "1+1/L/dead", range(10)) == [RESULT]


def test_results_of_other_code_are_not_taken_for_this_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Results(tmp_path, NAMES).add([RESULT])
    monkeypatch.setattr(versions, "peers", lambda: "other")
    assert "flagger" in Results(tmp_path, NAMES).missing("1+1/L/dead", 3)


def test_comments_and_docstrings_are_no_other_code() -> None:
    plain = "def f(x):\n    return x + 1\n"
    assert versions._meaning('"""What."""\n\ndef f(x):\n    """Adds."""\n    # one\n    return x + 1\n') == (
        versions._meaning(plain)
    )
    assert versions._meaning(plain.replace("1", "2")) != versions._meaning(plain)


def test_every_cell_is_in_the_table_and_every_group_has_cells() -> None:
    assert {cell.group for cell in cells()} == set(GROUPS)


def test_cells_are_chosen_by_name_or_group() -> None:
    assert [cell.name for cell in chosen(["1+1/L/dead"])] == ["1+1/L/dead"]
    assert {cell.group for cell in chosen(["tail", "no-data"])} == {"tail", "no-data"}
    assert len(chosen([])) == len(cells())


def test_the_engine_rolls_a_dead_canary_back_and_never_a_silent_one() -> None:
    dead, silent = chosen(["1+1/M/dead"])[0], chosen(["1+1/M/no-data"])[0]
    (found,) = simulate((dead, 1, (OURS,)))
    assert (found.action, found.signal) == ("ROLLBACK", "hard_limit")
    assert found.at_seconds <= 20
    quiet = replace(silent, scenario=replace(silent.scenario, traffic="L"))
    (found,) = simulate((quiet, 1, (OURS,)))
    assert found.action == "HOLD"


def test_the_command_prints_the_table_and_keeps_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.nice", lambda by: 0)
    page = tmp_path / "page.md"
    flags = ["--only", "1+1/L/dead", "--rollouts", "2", "--rule", "flagger", "--rule", "argo"]
    where = ["--dir", str(tmp_path / "results"), "--processes", "1", "--out", str(page), "--costs"]
    assert main([*flags, *where]) == 0
    out = capsys.readouterr().out
    assert "| 1+1/L/dead | 2 | 100 % (16-100) @ 660 |" in out
    assert "tuning seeds 0 to 1" in page.read_text("utf-8")
    assert main([*flags, *where, "--table"]) == 0
    assert capsys.readouterr().out == out


def test_a_rollout_is_written_as_the_folder_that_replay_reads(tmp_path: Path) -> None:
    flags = ["--only", "1+1/L/null, probes every 5 s", "--write", str(tmp_path)]
    assert main(flags) == 0
    (folder,) = tmp_path.iterdir()
    assert sorted(file.name for file in folder.iterdir()) == [
        "evals.parquet",
        "events.parquet",
        "requests.parquet",
        "rollout.json",
    ]
    rows = pq.read_table(folder / "requests.parquet").to_pylist()
    probes = [row for row in rows if row["source"] == "probe"]
    assert {row["arm"] for row in probes} == {"baseline", "canary"}
    assert all(row["pair_id"] for row in probes)
    assert {row["outcome"] for row in rows} <= {"ok", "error", "refused", "timeout"}
