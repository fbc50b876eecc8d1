"""Columns of a Parquet table as numpy arrays; what is damaged is refused by file, column and row.

Owns reading and the refusals. Knows no meaning of a column: `rollout_folder` does. Rows count from 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from guard.core.observations import Bools, Floats
from guard.errors import ConfigurationError

_DAMAGE = (OSError, ValueError, LookupError, pa.ArrowException)  # what pyarrow raises on a damaged file
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Words:
    """A column of few different words: `names[code]` for each row, code -1 for null."""

    codes: Indices
    names: tuple[str, ...]

    def mapped(self, values: Mapping[str, int], default: int) -> Indices:
        """A number for each row, by its word; `default` for null."""
        table = np.array([*(values[name] for name in self.names), default], np.int64)
        return table[self.codes]


class Table:
    """One file of the folder; `words` are read as dictionaries, which is what makes loading quick."""

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        """Opens it.

        Raises:
            ConfigurationError: It cannot be read, or is no Parquet file.
        """
        self.path = path
        try:
            there = {field.name for field in pq.read_schema(path) if _is_text(field.type)}
            self._file = pq.ParquetFile(path, read_dictionary=[name for name in words if name in there])
        except _DAMAGE as error:
            raise ConfigurationError(f"{path}: not a Parquet file that can be read ({error})") from error

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def __bool__(self) -> bool:
        """There, even without rows."""
        return True

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self._file.schema_arrow.names)

    def refuse(self, column: str, why: str, row: int | None = None) -> NoReturn:
        """Raises ConfigurationError with the place."""
        where = f"column {column!r}" + ("" if row is None else f": row {row}")
        raise ConfigurationError(f"{self.path}: {where}: {why}")

    def require(self, *columns: str) -> None:
        """Raises ConfigurationError for the first that is missing."""
        for column in columns:
            if column not in self.names:
                there = ", ".join(sorted(self.names)) or "none"
                self.refuse(column, f"is missing (there: {there})")

    def column(self, name: str) -> pa.Array:
        """As it is stored, in one piece."""
        try:
            found = self._file.read(columns=[name], use_threads=False).column(0).combine_chunks()
            if isinstance(found, pa.ChunkedArray):  # of no rows
                found = pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], found.type)
            found.validate(full=True)
        except _DAMAGE as error:
            self._refuse_group(name, error)
        if len(found) != len(self):
            self.refuse(name, f"has {len(found)} rows, and the file {len(self)}")
        return found

    def _refuse_group(self, name: str, error: Exception) -> NoReturn:
        """Names the first row group that cannot be read: nothing smaller can be told apart."""
        begin = 0
        for group in range(self._file.num_row_groups):
            end = begin + self._file.metadata.row_group(group).num_rows
            try:
                self._file.read_row_group(group, columns=[name], use_threads=False).validate(full=True)
            except _DAMAGE as found:
                self.refuse(name, f"rows {begin} to {end - 1} cannot be read ({found})")
            begin = end
        self.refuse(name, f"cannot be read ({error})")

    def numbers(self, name: str, otherwise: float = float("nan")) -> Floats:
        """Seconds or counts; null is nan, and so is a column that is not there (`otherwise`)."""
        if name not in self.names:
            return np.full(len(self), otherwise)
        column = self.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            column = self._cast(name, column)
        values, known = _plain(column)
        found = values.astype(np.float64)
        found[~known] = np.nan
        return found

    def _cast(self, name: str, column: pa.Array) -> pa.Array:
        try:
            return column.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            row, value = next((i, v) for i, v in enumerate(column.to_pylist()) if not _is_number(v))
            self.refuse(name, f"expected a number, got {value!r} ({column.type})", row)

    def words(self, name: str, known: Sequence[str] = (), required: bool = False) -> Words:
        """A column of words.

        Args:
            known: Which there may be; any where empty.
            required: Null is refused.
        """
        if name not in self.names:
            return Words(np.full(len(self), -1), ())
        column = self.column(name)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        codes = _filled(column.indices)
        names = [str(value) for value in column.dictionary.to_pylist()]
        if required and (codes < 0).any():
            self.refuse(name, "is null", int(np.argmax(codes < 0)))
        for code, word in enumerate(names):
            if known and word not in known and (codes == code).any():
                row = int(np.argmax(codes == code))
                self.refuse(name, f"{word!r} is none of {', '.join(known)}", row)
        return Words(codes, tuple(names if not known else (n if n in known else known[0] for n in names)))

    def flags(self, name: str) -> tuple[Bools, Bools]:
        """A column of true and false: its values, and where they are known."""
        column = self.column(name)
        if not pa.types.is_boolean(column.type):
            numbers = self.numbers(name)
            odd = ~np.isnan(numbers) & ~np.isin(numbers, (0.0, 1.0))
            if odd.any():
                row = int(np.argmax(odd))
                self.refuse(name, f"expected true or false, got {numbers[row]:g}", row)
            return numbers == 1.0, ~np.isnan(numbers)
        values, known = _plain(column)
        return values & known, known

    def codes(self, name: str) -> Indices | None:
        """The same number for rows of the same value; -1 for null, None where there is no such column."""
        if name not in self.names:
            return None
        column = self.column(name)
        if pa.types.is_integer(column.type) and not column.null_count:
            return np.unique(_plain(column)[0], return_inverse=True)[1].astype(np.int64)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        return _filled(column.indices)

    def first_gaps(self, name: str) -> Floats:
        """Of a column of lists of moments: the mean gap between them; nan below two."""
        found = np.full(len(self), np.nan)
        if name not in self.names or not pa.types.is_list(self._file.schema_arrow.field(name).type):
            return found
        column = self.column(name)
        offsets, _ = _plain(column.offsets)
        values, _ = _plain(column.values.cast(pa.float64()))
        lengths = np.diff(offsets)
        rows = np.flatnonzero(lengths >= 2)
        found[rows] = (values[offsets[1:][rows] - 1] - values[offsets[:-1][rows]]) / (lengths[rows] - 1)
        return found


def _plain(column: pa.Array) -> tuple[npt.NDArray[Any], Bools]:
    """Numbers or flags, and where they are known; from the buffers, for `to_numpy` imports pandas."""
    validity, content = column.buffers()
    rows = slice(column.offset, column.offset + len(column))
    known = np.ones(len(column), np.bool_) if not column.null_count else _bits(validity, rows)
    if pa.types.is_boolean(column.type):
        return _bits(content, rows), known
    return np.frombuffer(content or b"", column.type.to_pandas_dtype())[rows], known


def _bits(content: pa.Buffer | None, rows: slice) -> Bools:
    packed = np.frombuffer(content or b"", np.uint8)
    return np.unpackbits(packed, count=rows.stop, bitorder="little")[rows].astype(np.bool_)


def _filled(indices: pa.Array) -> Indices:
    """Indices of a dictionary, -1 for null."""
    values, known = _plain(indices)
    return np.where(known, values.astype(np.int64), -1)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return value is None
    return True
