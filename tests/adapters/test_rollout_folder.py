"""The recorded rollout's folder: what is read back of what was written, and what of bad input."""

import json
import math
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from guard.adapters.rollout_folder import find_rollout, read_rollout
from guard.adapters.rollout_record import rollout_document
from guard.core.histogram_blocks import HistogramBlock
from guard.core.observations import BAD, CLIENT_ERROR, OK, WAITS
from guard.core.rollout import RecordedStep
from guard.core.samples import Arm, Outcome, Source
from guard.errors import ConfigurationError, NotFoundError
from tests.adapters.recorded_rollout import BLOCK, EVALS, EVENT, STEPS, request, write

NAN, INF = math.nan, math.inf


def _table(folder, **columns):
    """requests.parquet of these columns; whatever names a request has a default."""
    rows = max(len(column) for column in columns.values() if column is not None)
    base = {
        "request_id": [f"r{i}" for i in range(rows)],
        "source": ["user"] * rows,
        "arm": ["canary"] * rows,
        "sent_at": [float(i) for i in range(rows)],
        "first_token_at": [i + 0.5 for i in range(rows)],
        "finished_at": [i + 1.0 for i in range(rows)],
        "outcome": ["ok"] * rows,
    }
    pq.write_table(pa.table({k: v for k, v in (base | columns).items() if v is not None}), folder)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "rollout")


def _read(folder, **columns):
    _table(folder / "requests.parquet", **columns)
    found = read_rollout(folder)
    return found, found.requests.get(Source.USER)


def test_what_was_written_is_read_back(tmp_path):
    found = read_rollout(write(tmp_path / "r", blocks=[BLOCK], events=[EVENT], evals=EVALS))
    assert found.steps == STEPS
    assert (found.end_seconds, found.baseline_from_seconds) == (120.0, -60.0)
    assert found.replicas == (("baseline", "baseline-0"), ("canary", "canary-0"))
    log = found.requests[Source.USER]
    assert (len(log), int(log.canary.sum())) == (300, 120)
    assert log.known[0] == -60.0
    assert np.all(np.diff(log.known) >= 0)
    assert np.allclose(log.first_token - log.started, 0.2)
    assert found.blocks == (BLOCK,)
    assert found.events == (EVENT,)
    assert found.evals.pairs(0, 99) == [pair for _, pair in EVALS]
    assert (found.dropped, found.unused, found.missing) == ({}, {}, ())
    assert found.settings.min_requests == 20


def test_every_time_is_shifted_to_the_rollouts_clock(tmp_path):
    sample = request("a", Arm.CANARY, 1000.0, scheduled_at=999.0, token_at=[1000.2, 1000.4])
    written = {"samples": [sample], "blocks": [BLOCK], "events": [EVENT], "evals": EVALS}
    found = read_rollout(write(tmp_path / "r", **written, shift_seconds=-990.0))
    log = found.requests[Source.USER]
    assert (log.known[0], log.started[0], log.finished[0]) == (10.0, 9.0, 11.0)
    assert (found.blocks[0].start, found.events[0].at) == (-980.0, -978.0)
    assert found.evals.answered_at[0] == -985.0
    assert pq.read_table(tmp_path / "r/requests.parquet")["token_at"][0].as_py() == pytest.approx(
        [10.2, 10.4]
    )


def test_the_folder_of_a_change_is_found_by_its_evidence(tmp_path):
    write(tmp_path / "ops-1/evidence")
    assert find_rollout(tmp_path / "ops-1") == tmp_path / "ops-1/evidence"
    with pytest.raises(NotFoundError, match=r"holds no rollout\.json"):
        find_rollout(tmp_path)


def test_any_table_may_be_missing(tmp_path):
    found = read_rollout(write(tmp_path / "r", samples=[]))
    assert found.requests == {}
    assert found.missing == ("requests.parquet", "blocks.parquet", "events.parquet", "evals.parquet")


def test_columns_that_are_not_known_may_be_absent(folder):
    absent = dict.fromkeys(("request_id", "source", "first_token_at"))
    _, log = _read(folder, **absent, sent_at=[1.0, 2.0])
    assert np.isnan(log.first_token).all()
    assert np.isnan(log.itl_mean).all()
    assert (log.pair == -1).all()


def test_ids_and_items_may_be_integers(folder):
    found, log = _read(folder, request_id=[7, 7, 8])
    assert len(log) == 2
    assert found.dropped == {"requests: request_id repeated": 1}
    evals = {"answered_at": [1.0, 2.0], "item": [3, 4], "baseline_pass": [1, 0], "canary_pass": [True, False]}
    pq.write_table(pa.table(evals), folder / "evals.parquet")
    assert [pair.item for pair in read_rollout(folder).evals.pairs(0, 2)] == ["3", "4"]


def test_of_a_repeated_id_the_request_that_was_known_first_counts(folder):
    _, log = _read(folder, request_id=["a", "a"], sent_at=[9.0, 3.0], first_token_at=[NAN, NAN],
                   finished_at=[10.0, 4.0])  # fmt: skip
    assert log.known.tolist() == [3.0]


@pytest.mark.parametrize(
    ("columns", "rows", "dropped"),
    [
        (dict(sent_at=[NAN, INF, None, 1.0]), 1, {"requests: no finite time of the start": 3}),
        (dict(sent_at=[0.0, 5.0], finished_at=[1.0, 4.0]), 1,
         {"requests: answered or ended before the start": 1}),
        (dict(sent_at=[0.0, 5.0], first_token_at=[0.5, 4.0], finished_at=[1.0, 9.0]), 1,
         {"requests: answered or ended before the start": 1}),
        (dict(finished_at=[-INF, 2.0]), 1, {"requests: answered or ended before the start": 1}),
        (dict(outcome=[None, "ok"]), 1, {"requests: ended without an outcome": 1}),
        (dict(itl_mean_seconds=[-1.0, INF]), 2, {"requests: itl_mean_seconds infinite or negative": 2}),
        (dict(first_token_at=[INF, 1.5]), 2, {"requests: first_token_at infinite or negative": 1}),
        (dict(first_token_at=[5.0, 1.5]), 2, {"requests: first_token_at after finished_at": 1}),
    ],
    ids=["no start", "ended before", "answered before", "minus infinity", "no outcome", "itl", "infinite",
         "answered after the end"],
)  # fmt: skip
def test_bad_values_are_dropped_and_counted(folder, columns, rows, dropped):
    found, log = _read(folder, **columns)
    assert (len(log), found.dropped) == (rows, dropped)
    for column in (log.known, log.started):
        assert np.isfinite(column).all()
    assert not np.isinf(log.first_token).any()
    assert not (log.itl_mean < 0).any()


def test_a_request_without_an_end_waits_whatever_its_outcome_says(folder):
    _, log = _read(folder, finished_at=[NAN, 2.0], first_token_at=[0.5, 1.5])
    assert log.outcome.tolist() == [WAITS, OK]


def test_a_status_says_what_an_outcome_does_not(folder):
    _, log = _read(folder, outcome=[None, None, "error", "error"], status=[200, 503, 404, 500])
    assert log.outcome.tolist() == [OK, BAD, CLIENT_ERROR, BAD]


def test_the_mean_gap_comes_from_the_tokens_where_it_is_not_given(folder):
    _, log = _read(folder, token_at=[[0.5, 0.6, 0.7], [1.5]])
    assert log.itl_mean.tolist() == [pytest.approx(0.1), pytest.approx(NAN, nan_ok=True)]
    _, log = _read(folder, last_token_at=[0.9, 1.5], output_tokens=[5, 1])
    assert log.itl_mean.tolist() == [pytest.approx(0.1), pytest.approx(NAN, nan_ok=True)]


def test_both_halves_of_a_pair_share_a_code(folder):
    _, log = _read(folder, pair_id=["x", None, "x"])
    assert log.pair[0] == log.pair[2] >= 0
    assert log.pair[1] == -1


def test_a_restart_that_is_there_twice_counts_once(tmp_path):
    found = read_rollout(write(tmp_path / "r", events=[EVENT, EVENT]))
    assert (len(found.events), found.dropped) == (1, {"events: repeated": 1})


def test_events_for_people_and_of_later_versions_are_counted_as_unused(folder):
    rows = {"at": [1.0, 2.0, NAN, 3.0], "arm": [None, None, None, "canary"], "replica": [None] * 4,
            "kind": ["weight", "sunrise", "note", "ready"]}  # fmt: skip
    pq.write_table(pa.table(rows), folder / "events.parquet")
    found = read_rollout(folder)
    assert [event.kind for event in found.events] == ["ready"]
    assert found.unused == {"events: of a kind not known": 1, "events: weight": 1}
    assert found.dropped == {"events: at not finite": 1}


def test_counters_that_cannot_be_are_dropped(folder):
    rows = {
        "source": ["user"] * 6,
        "arm": ["canary"] * 6,
        "replica": ["a"] * 6,
        "start": [0.0, 0.0, 0.0, NAN, 5.0, 5.0],
        "seconds": [5.0, 5.0, 5.0, 5.0, -5.0, 5.0],
        "signal": ["requests", "errors", "ttft", "requests", "requests", "requests"],
        "le": [None] * 6,
        "count": [10.0, 2.0, 4.0, 1.0, 1.0, 1e300],
    }
    pq.write_table(pa.table(rows), folder / "blocks.parquet")
    found = read_rollout(folder)
    assert [(b.requests, b.bad, b.end) for b in found.blocks] == [(10, 2, 5.0)]
    assert found.unused == {"blocks: ttft": 1}
    assert found.dropped == {"blocks: not finite, negative, beyond any count, or of no length": 3}


def _buckets(folder, **changes):
    """One histogram of three values, a bucket a row."""
    rows = {
        "arm": ["canary"] * 3,
        "replica": ["a"] * 3,
        "start": [10.0] * 3,
        "seconds": [10.0] * 3,
        "signal": ["ttft"] * 3,
        "le": [math.inf, 0.1, 0.5],
        "count": [3.0, 1.0, 2.0],
        "sum": [1.2, None, None],
    }
    columns = {name: pa.array(values) for name, values in (rows | changes).items()}
    pq.write_table(pa.table(columns), folder / "blocks.parquet")
    return read_rollout(folder)


def test_histograms_are_read_in_any_order_of_their_buckets(folder):
    found = _buckets(folder)
    assert found.histograms == (
        HistogramBlock(Source.USER, Arm.CANARY, "a", "ttft", 10.0, 10.0, (0.1, 0.5), (1, 1, 1), 1.2),
    )
    assert (found.blocks, found.unused, found.dropped) == ((), {}, {})


def test_written_histograms_are_read_back_on_the_rollouts_clock(tmp_path):
    made = [
        HistogramBlock(Source.USER, arm, f"{arm}-0", signal, 1010.0, 10.0, (0.1, 0.5), (4, 0, 2), 3.5)
        for arm in (Arm.BASELINE, Arm.CANARY)
        for signal in ("itl", "ttft")
    ]
    folder = write(tmp_path / "r", blocks=[BLOCK], histograms=made, shift_seconds=-1000.0)
    found = read_rollout(folder)
    assert list(found.histograms) == [replace(block, start=10.0) for block in made]
    assert len(found.blocks) == 1


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ({"le": [1.0, 0.1, 0.5]}, {"histograms: no +Inf bucket": 3}),
        ({"count": [1.0, 2.0, 2.0]}, {"histograms: counts fall from one bucket to the next": 3}),
        ({"le": [math.inf, 0.5, 0.5]}, {"histograms: an edge is there twice": 3}),
        ({"sum": [None, None, None]}, {"histograms: no sum": 3}),
        ({"start": [NAN] * 3}, {"histograms: start or seconds not finite, or of no length": 3}),
        ({"seconds": [0.0] * 3}, {"histograms: start or seconds not finite, or of no length": 3}),
        (
            {"count": [3.0, -1.0, 2.0]},
            {"histograms: an edge, count or sum is not a number, negative, or beyond any count": 3},
        ),
    ],
)
def test_a_histogram_that_cannot_be_is_dropped_and_counted(folder, changes, dropped):
    found = _buckets(folder, **changes)
    assert found.histograms == ()
    assert found.dropped == dropped


def test_eval_items_that_are_repeated_or_not_graded_are_dropped(folder):
    rows = {"answered_at": [1.0, 1.0, 2.0, NAN], "item": ["a", "a", "b", "c"],
            "baseline_pass": [True, True, None, True], "canary_pass": [True, True, True, True]}  # fmt: skip
    pq.write_table(pa.table(rows), folder / "evals.parquet")
    found = read_rollout(folder)
    assert len(found.evals.items) == 1
    assert found.dropped == {
        "evals: answered_at not finite": 1,
        "evals: not graded on both arms": 1,
        "evals: repeated": 1,
    }


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        (dict(sent_at=["1.0", "noon"]), r"column 'sent_at': row 1: expected a number, got 'noon'"),
        (dict(arm=["canary", "candidate"]), r"column 'arm': row 1: 'candidate' is none of baseline, canary"),
        (dict(arm=["canary", None]), r"column 'arm': row 1: is null"),
        (dict(outcome=["ok", "ok", "fine"]), r"column 'outcome': row 2: 'fine' is none of ok, error"),
        (dict(source=["user", "rumour"]), r"column 'source': row 1: 'rumour' is none of probe"),
        (dict(arm=None, sent_at=[1.0]), r"column 'arm': is missing"),
        (dict(sent_at=None, finished_at=[1.0]), r"column 'sent_at': is missing"),
    ],
)
def test_a_damaged_table_is_refused_by_file_column_and_row(folder, columns, place):
    _table(folder / "requests.parquet", **columns)
    with pytest.raises(ConfigurationError, match=rf"requests\.parquet: {place}"):
        read_rollout(folder)


@pytest.mark.parametrize(
    ("file", "rows", "place"),
    [
        ("events.parquet", {"at": [1.0], "kind": ["oom"], "arm": [None]}, "column 'arm': row 0: is null"),
        ("events.parquet", {"at": [1.0]}, "column 'kind': is missing"),
        ("evals.parquet", {"answered_at": [1.0], "baseline_pass": [2], "canary_pass": [1]},
         "column 'baseline_pass': row 0: expected true or false, got 2"),
        ("blocks.parquet", {"arm": ["canary"], "start": [0.0], "seconds": [1.0], "signal": ["requests"],
                            "count": ["many"]}, "column 'count': row 0: expected a number, got 'many'"),
    ],
)  # fmt: skip
def test_every_table_names_its_damage(folder, file, rows, place):
    pq.write_table(pa.table(rows), folder / file)
    with pytest.raises(ConfigurationError, match=f"{file}: {place}"):
        read_rollout(folder)


def test_a_file_that_is_no_parquet_is_refused_by_name(folder):
    (folder / "requests.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ConfigurationError, match=r"requests\.parquet: not a Parquet file"):
        read_rollout(folder)


def test_rows_that_cannot_be_read_are_named(folder):
    file = folder / "requests.parquet"
    _table(file, sent_at=[float(i) for i in range(2000)])
    table = pq.read_table(file)
    pq.write_table(table, file, row_group_size=1000, compression="snappy")
    column = pq.ParquetFile(file).metadata.row_group(1).column(table.column_names.index("sent_at"))
    content = bytearray(file.read_bytes())
    begin = column.dictionary_page_offset or column.data_page_offset
    content[begin : begin + 200] = b"\xff" * 200
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="column 'sent_at': rows 1000 to 1999 cannot be read"):
        read_rollout(folder)


def test_text_that_is_none_is_named(folder):
    content = pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes()), pa.py_buffer(b"a\xff")
    broken = pa.Array.from_buffers(pa.string(), 2, [None, *content])
    _table(folder / "requests.parquet", replica=broken)
    with pytest.raises(ConfigurationError, match=r"column 'replica': rows 0 to 1 cannot be read .*UTF8"):
        read_rollout(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format_version": 2}, "format_version 2, this version reads 1"),
        ({"steps": []}, "steps"),
        ({"steps": [{"start_seconds": "now", "weight_percent": 5}]}, r"steps\.0\.start_seconds"),
        ({"steps": [{"start_seconds": 9, "weight_percent": 5}, {"start_seconds": 9, "weight_percent": 6}]},
         "start_seconds must rise"),
        ({"end_seconds": -1.0}, "end_seconds: -1 is before the first step"),
        ({"end_seconds": NAN}, "end_seconds"),
        ({"settings": {"alhpa": 0.1}}, r"settings: alhpa.*alpha"),
    ],
)  # fmt: skip
def test_a_damaged_document_is_refused_by_key(folder, change, named):
    document = json.loads((folder / "rollout.json").read_text())
    (folder / "rollout.json").write_text(json.dumps(document | change))
    with pytest.raises(ConfigurationError, match=rf"(?s)rollout\.json: .*{named}"):
        read_rollout(folder)


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_document_that_is_none_is_refused_by_file(folder, content):
    (folder / "rollout.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"rollout\.json: "):
        read_rollout(folder)


def test_what_a_rollback_left_is_no_step(tmp_path):
    steps = (RecordedStep(0.0, 5), RecordedStep(60.0, 50), RecordedStep(90.0, 0))
    document = rollout_document(steps, 120.0, -60.0)
    (tmp_path / "rollout.json").write_text(json.dumps(document))
    found = read_rollout(tmp_path)
    assert ([step.weight_percent for step in found.steps], found.end_seconds) == ([5, 50], 90.0)
    assert found.steps[0].canary_replicas is None


def test_what_a_promotion_did_after_the_guards_last_step_is_no_step(tmp_path):
    steps = (RecordedStep(0.0, 5), RecordedStep(60.0, 50), RecordedStep(90.0, 100), RecordedStep(110.0, 0))
    guard_steps = [{"weight": 5, "hold": "1m", "minRequests": 7}, {"weight": 50, "hold": "30s"}]
    document = rollout_document(steps, 120.0, -60.0, {"steps": guard_steps})
    (tmp_path / "rollout.json").write_text(json.dumps(document))
    found = read_rollout(tmp_path)
    assert [(step.weight_percent, step.min_requests) for step in found.steps] == [(5, 7), (50, 200)]
    assert (found.end_seconds, found.planned_seconds) == (90.0, 90.0)


def test_a_failed_canary_without_time_of_an_answer_stays_a_failure(folder):
    _, log = _read(folder, outcome=["error", "timeout"], first_token_at=[NAN, NAN])
    assert log.outcome.tolist() == [BAD, BAD]
    assert {str(o) for o in Outcome} >= {"error", "timeout"}


def test_a_hundred_thousand_requests_load_without_an_object_of_each(folder):
    rows = 100_000
    at = np.arange(rows) / 100.0
    columns = {"sent_at": at, "first_token_at": at + 0.3, "finished_at": at + 2.0}
    _table(folder / "requests.parquet", **columns)
    begin = time.process_time()
    found = read_rollout(folder)
    assert time.process_time() - begin < 1.0  # .1 s on an idle machine
    assert len(found.requests[Source.USER]) == rows
