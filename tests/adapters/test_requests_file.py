import os
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from guard.adapters.requests_file import COLUMNS, read_metadata, read_requests, write_requests
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.errors import ConfigurationError, NotFoundError

FULL = RequestSample(
    request_id="tidegate-1",
    source=Source.LOAD,
    arm=Arm.CANARY,
    pair_id="7",
    worker="w0",
    replica="chat-canary-0",
    weight_percent=5,
    scheduled_at=100.0,
    sent_at=100.001,
    headers_at=100.2,
    first_token_at=100.25,
    last_token_at=100.75,
    token_at=[100.25, 100.5, 100.75],
    itl_mean_seconds=0.25,
    finished_at=100.76,
    prompt_tokens=12,
    cached_tokens=0,
    output_tokens=3,
    finish_reason="length",
    outcome=Outcome.OK,
    status=200,
    error=None,
    dispatch_lag_seconds=0.0005,
    read_lag_seconds=0.0,
)
WAITING = RequestSample(request_id="tidegate-2", source=Source.LOAD, arm=Arm.BASELINE)


def _write(path: Path, **columns: list[object]) -> Path:
    base: dict[str, list[object]] = {"request_id": ["a"], "source": ["load"], "arm": ["canary"]}
    pq.write_table(pa.table(base | columns), path)
    return path


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [FULL, WAITING], {})

    assert read_requests(tmp_path / "r.parquet") == [FULL, WAITING]


def test_metadata_comes_back_as_it_was_written(tmp_path: Path) -> None:
    metadata = {"clock": "CLOCK_MONOTONIC", "workers": {"w0": {"unix_offset_seconds": 1.5}}}
    write_requests(tmp_path / "r.parquet", [FULL], metadata)

    assert read_metadata(tmp_path / "r.parquet") == metadata


def test_the_columns_are_the_fields_of_a_sample() -> None:
    assert set(COLUMNS) == {field.name for field in fields(RequestSample)}


def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="no regular file"):
        write_requests(tmp_path / "pipe", [FULL], {})
    assert (tmp_path / "pipe").is_fifo()


def test_no_samples_make_a_file_with_all_columns(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [], {})

    assert pq.read_schema(tmp_path / "r.parquet").names == list(COLUMNS)
    assert read_requests(tmp_path / "r.parquet") == []


def test_times_are_written_as_float64_and_unknown_as_null(tmp_path: Path) -> None:
    write_requests(tmp_path / "r.parquet", [WAITING], {})
    table = pq.read_table(tmp_path / "r.parquet")

    assert table.schema.field("first_token_at").type == pa.float64()
    assert table.column("first_token_at").to_pylist() == [None]
    assert table.column("token_at").to_pylist() == [None]
    assert table.column("outcome").to_pylist() == [None]


def test_a_recorded_rollout_may_lack_columns_and_use_narrower_types(tmp_path: Path) -> None:
    path = _write(tmp_path / "r.parquet", weight_percent=pa.array([5], pa.int16()), sent_at=[1.0])

    (sample,) = read_requests(path)

    assert (sample.weight_percent, sample.sent_at, sample.first_token_at) == (5, 1.0, None)


def test_dictionary_encoded_words_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "r.parquet", outcome=pa.array(["ok"]).dictionary_encode())

    assert read_requests(path)[0].outcome is Outcome.OK


def test_a_column_of_a_newer_version_is_ignored(tmp_path: Path) -> None:
    assert len(read_requests(_write(tmp_path / "r.parquet", invented_later=[1]))) == 1


def test_not_a_number_is_read_as_unknown(tmp_path: Path) -> None:
    path = _write(tmp_path / "r.parquet", first_token_at=pa.array([float("nan")], pa.float64()))

    assert read_requests(path)[0].first_token_at is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sent_at": ["noon"]}, r"column 'sent_at': expected double, got string"),
        ({"arm": ["candidate"]}, r"column 'arm': 'candidate' is none of baseline, canary"),
        ({"outcome": ["fine"]}, r"column 'outcome': 'fine' is none of ok, error"),
        ({"request_id": pa.array([None], pa.string())}, r"column 'request_id': row 0 is null"),
    ],
)
def test_a_wrong_column_is_refused_by_name(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_requests(_write(tmp_path / "r.parquet", **columns))


def test_a_file_without_arms_is_refused_by_the_missing_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"request_id": ["a"], "source": ["load"]}), tmp_path / "r.parquet")

    with pytest.raises(ConfigurationError, match="column 'arm' is missing"):
        read_requests(tmp_path / "r.parquet")


def test_something_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.parquet").write_text("request_id,arm\n")

    with pytest.raises(ConfigurationError, match="not a Parquet file"):
        read_requests(tmp_path / "r.parquet")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_requests(tmp_path / "r.parquet")
