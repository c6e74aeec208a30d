"""Readers of Parquet, Feather and Arrow files, piece by piece."""

import base64
import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from nae_tf.base.data_frames import index_columns
from nae_tf.base.json_text import parse_json
from nae_tf.base.list_columns import (
    Widths,
    features_in,
    features_of,
    widths_of,
)
from nae_tf.data.readers.units import UNIT_NAMES, Units, known_units, unit_of

# Rows, and values, that are read at a time at most.
_ROWS = 65_536
_VALUES = 2**22
# Bytes of a column that are read at a time: not the column of a group of rows,
# which may be the whole file.
_BUFFER_BYTES = 2**18
_FILE_MARK = b"ARROW1"
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"


class ColumnarFile(NamedTuple):
    """An open file of columns.

    Attributes:
        names: names of the columns but an index of pandas.
        size: number of rows, or None if it is not known.
        read: function of names of features and of the first row that yields
            them as `pyarrow.Table`s.
        units: units of features by name.
        widths: number of values in the lists of columns that hold some.
    """

    names: Sequence[str]
    size: int | None
    read: Callable[[Sequence[str], int], Iterator[Any]]
    units: Units
    widths: Widths


@contextlib.contextmanager
def _explained(path):
    """Explain what pyarrow says of a damaged file in one line."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"{path} cannot be read: {reason}.") from error


def open_parquet(path) -> ColumnarFile:
    """Open a Parquet file.

    Args:
        path: path of the file.

    Raises:
        ValueError: if it is not a Parquet file.
    """
    from pyarrow import parquet

    with _explained(path):
        # Without the second setting the first one has no effect.
        file = parquet.ParquetFile(
            path, buffer_size=_BUFFER_BYTES, pre_buffer=False
        )
        schema = file.schema_arrow
        categories = _categories(file.metadata.metadata or {}, schema)
        size = file.metadata.num_rows
        names = _names(schema)
        widths = widths_of(
            schema, names, lambda some: file.iter_batches(1, columns=some)
        )

    def batches(columns, rows, start):
        groups = [
            file.metadata.row_group(i).num_rows
            for i in range(file.num_row_groups)
        ]
        ends = np.cumsum(groups)
        first = int(np.searchsorted(ends, start, side="right"))
        start -= sum(groups[:first])
        with file:
            found = file.iter_batches(rows, range(first, len(groups)), columns)
            yield from _behind(
                start, (_with_categories(batch, categories) for batch in found)
            )

    read = functools.partial(_pieces, path, batches, widths)
    return ColumnarFile(names, size, read, _units(schema, widths), widths)


def open_arrow(path) -> ColumnarFile:
    """Open a Feather file, or an Arrow file of either kind.

    Args:
        path: path of the file.

    Raises:
        ValueError: if it is not an Arrow file.
    """
    import pyarrow

    with path.open("rb") as file:
        magic = file.read(len(_FILE_MARK))
        file.seek(-min(path.stat().st_size, len(_STREAM_END)), os.SEEK_END)
        end = file.read()
    if magic.startswith(b"FEA1"):
        raise ValueError(
            f"{path} is a file of the first version of Feather; write it "
            "anew, as by pyarrow.feather.write_feather."
        )
    # A stream that is cut off between two batches is read without an error.
    if magic != _FILE_MARK and end != _STREAM_END:
        raise ValueError(
            f"{path} is no Arrow file, or is cut off: it lacks the mark of the "
            "end."
        )

    def opened():
        # The rows of a mapped file are read when they are needed.
        source = pyarrow.memory_map(str(path))
        if magic == _FILE_MARK:
            return source, pyarrow.ipc.open_file(source)
        return source, pyarrow.ipc.open_stream(source)

    def all_batches():
        source, reader = opened()
        with source:
            if magic == _FILE_MARK:
                for index in range(reader.num_record_batches):
                    yield reader.get_batch(index)
            else:
                yield from reader

    def batches(columns, rows, start):
        for batch in _behind(start, all_batches()):
            yield batch.select(columns)

    with _explained(path):
        source, reader = opened()
        with source:
            schema = reader.schema
        names = _names(schema)
        widths = widths_of(schema, names, lambda _: all_batches())
    read = functools.partial(_pieces, path, batches, widths)
    return ColumnarFile(names, None, read, _units(schema, widths), widths)


def _categories(metadata, schema) -> set[str]:
    """Columns that were categories when they were written.

    Parquet itself has none: those of numbers come back as numbers.
    """
    import pyarrow

    found = {
        column.get("field_name") or column.get("name")
        for column in (schema.pandas_metadata or {}).get("columns", [])
        if column.get("pandas_type") == "categorical"
    }
    with contextlib.suppress(KeyError, ValueError, pyarrow.ArrowException):
        written = base64.b64decode(metadata[b"ARROW:schema"])
        found |= {
            field.name
            for field in pyarrow.ipc.read_schema(pyarrow.py_buffer(written))
            if pyarrow.types.is_dictionary(field.type)
        }
    return found


def _with_categories(batch, names):
    """Give columns the type of categories, of which no numbers are read."""
    import pyarrow

    return pyarrow.record_batch(
        {
            name: column.dictionary_encode()
            if name in names and not pyarrow.types.is_dictionary(column.type)
            else column
            for name, column in zip(
                batch.schema.names, batch.columns, strict=True
            )
        }
    )


def _names(schema):
    left_out = index_columns(schema)
    return [name for name in schema.names if name not in left_out]


def _units(schema, widths):
    """Units in the metadata of columns, or in attrs of a pandas DataFrame."""
    attributes = _pandas_attributes(schema)
    units = {field.name: unit_of(field.metadata or {}) for field in schema}
    for name in UNIT_NAMES:
        found = attributes.get(name)
        if isinstance(found, dict):
            units |= {key: str(found[key]) for key in found if key in units}
    return known_units(
        {
            feature: unit
            for column, unit in units.items()
            for feature in features_in([column], widths)
        }
    )


def _pandas_attributes(schema):
    try:
        found = parse_json(schema.metadata[b"PANDAS_ATTRS"].decode())
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(names):
    """Rows of some columns that are read at a time."""
    return max(min(_ROWS, _VALUES // max(len(names), 1)), 1)


def _behind(start, batches):
    """Leave out the first rows of some batches."""
    for batch in batches:
        left_out = min(start, batch.num_rows)
        start -= left_out
        if left_out < batch.num_rows:
            yield batch.slice(left_out)


def _pieces(path, batches, widths, names, start):
    """Cut batches from a row on into tables of at most `_rows` features."""
    import pyarrow

    rows = _rows(names)
    column_of = {
        feature: column
        for column in widths
        for feature in features_in([column], widths)
    }
    columns = list(dict.fromkeys(column_of.get(name, name) for name in names))
    with _explained(path):
        for batch in batches(columns, rows, start):
            for first in range(0, batch.num_rows, rows):
                piece = batch.slice(first, rows)
                table = pyarrow.Table.from_batches([piece]).select(columns)
                if widths:
                    table = features_of(
                        path, table, names, widths, start + first
                    )
                yield table
            start += batch.num_rows
