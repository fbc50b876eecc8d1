"""requests.parquet: the one format for requests, whoever wrote them (load, probes, a recorded rollout).

Owns the columns, their types and the refusal of anything else, by column name. Knows nothing of where the
samples came from; the metadata is a JSON document that the writer chooses and that is given back as it is.

A reader takes a file that lacks columns (they are unknown) and ignores columns that it does not know, so
that files of older and newer versions stay readable. Only what names a request must be there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from guard.adapters.artifacts import check_replaceable
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.errors import ConfigurationError, NotFoundError

_WORD, _SECONDS, _COUNT = pa.string(), pa.float64(), pa.int64()

COLUMNS: dict[str, pa.DataType] = {
    "request_id": _WORD,
    "source": _WORD,
    "pair_id": _WORD,
    "worker": _WORD,
    "arm": _WORD,
    "replica": _WORD,
    "weight_percent": _COUNT,
    "scheduled_at": _SECONDS,
    "sent_at": _SECONDS,
    "headers_at": _SECONDS,
    "first_token_at": _SECONDS,
    "last_token_at": _SECONDS,
    "token_at": pa.list_(_SECONDS),
    "itl_mean_seconds": _SECONDS,
    "finished_at": _SECONDS,
    "prompt_tokens": _COUNT,
    "cached_tokens": _COUNT,
    "output_tokens": _COUNT,
    "finish_reason": _WORD,
    "outcome": _WORD,
    "status": _COUNT,
    "error": _WORD,
    "dispatch_lag_seconds": _SECONDS,
    "read_lag_seconds": _SECONDS,
}
_NEVER_NULL = ("request_id", "source", "arm")
_WORDS: dict[str, type[StrEnum]] = {"source": Source, "arm": Arm, "outcome": Outcome}
_METADATA_KEY = b"tidegate"

SCHEMA = pa.schema([pa.field(name, kind, nullable=name not in _NEVER_NULL) for name, kind in COLUMNS.items()])


def write_requests(path: Path | str, samples: Sequence[RequestSample], metadata: Mapping[str, Any]) -> None:
    """Write every sample as one row, all columns, in the given order.

    Args:
        path: The file to write; its folder must exist. A file that is there is replaced, whole or not at all.
        samples: Rows. `token_at` is written null where it is empty, so that unknown and none read alike.
        metadata: A JSON document about the file (clock, workers' Unix offsets, plan).
    Raises:
        ConfigurationError: `path` is there and is no regular file.
    """
    check_replaceable(Path(path))
    columns = {name: [_cell(getattr(sample, name)) for sample in samples] for name in COLUMNS}
    table = pa.table(columns, schema=SCHEMA)
    document = json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
    table = table.replace_schema_metadata({_METADATA_KEY: document.encode()})
    beside = Path(f"{path}.part")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(path)


def read_requests(path: Path | str) -> list[RequestSample]:
    """Read every row back, in the order of the file.

    Raises:
        NotFoundError: There is no such file.
        ConfigurationError: Not Parquet, or a column is missing, of another type, null or outside its words;
            the message names the column.
    """
    table = _open(path).read(columns=None)
    present = [name for name in COLUMNS if name in table.column_names]
    for name in _NEVER_NULL:
        if name not in present:
            raise ConfigurationError(f"{path}: column {name!r} is missing")
    columns = {name: _values(table.column(name), name, path) for name in present}
    rows = zip(*columns.values(), strict=True)
    return [RequestSample(**dict(zip(columns, row, strict=True))) for row in rows]


def read_metadata(path: Path | str) -> dict[str, Any]:
    """The JSON document that the writer put beside the rows; empty where there is none."""
    found = (_open(path).schema_arrow.metadata or {}).get(_METADATA_KEY)
    return dict(json.loads(found)) if found else {}


def _open(path: Path | str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such file") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigurationError(f"{path}: not a Parquet file ({error})") from error


def _cell(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return None if value == [] else value


def _values(column: pa.ChunkedArray, name: str, path: Path | str) -> list[Any]:
    try:
        values: list[Any] = column.cast(COLUMNS[name]).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"{path}: column {name!r}: expected {COLUMNS[name]}, got {column.type}"
        ) from error
    if name in _NEVER_NULL and None in values:
        raise ConfigurationError(f"{path}: column {name!r}: row {values.index(None)} is null")
    if name in _WORDS:
        return _as_words(values, _WORDS[name], f"{path}: column {name!r}")
    if name == "token_at":
        return [value or [] for value in values]
    return [None if value != value else value for value in values]  # a NaN means unknown, too


def _as_words(values: list[str | None], words: Callable[[str], StrEnum], where: str) -> list[StrEnum | None]:
    known: dict[str | None, StrEnum | None] = {None: None}
    for value in set(values) - {None}:
        try:
            known[value] = words(str(value))
        except ValueError as error:
            expected = ", ".join(word.value for word in words)  # type: ignore[attr-defined]
            raise ConfigurationError(f"{where}: {value!r} is none of {expected}") from error
    return [known[value] for value in values]
