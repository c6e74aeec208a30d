"""Tables of numbers with named columns, read piece by piece."""

import pathlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nae_tf.base.data_frames import arrow_values
from nae_tf.base.feature_names import Names
from nae_tf.base.lost_digits import Spread, warn_of_lost_digits
from nae_tf.data.readers.columnar import open_arrow, open_parquet
from nae_tf.data.readers.columns import ALL_COLUMNS, Columns
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.delimited_text import open_text
from nae_tf.data.readers.doubtful import warn_of_writing
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.tabular import refuse_counter
from nae_tf.data.readers.units import Units, known_units

_COLUMNAR = {
    ".parquet": open_parquet,
    ".feather": open_arrow,
    ".arrow": open_arrow,
    ".arrows": open_arrow,
}
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", *_COLUMNAR)


class Table(NamedTuple):
    """A table that is read piece by piece.

    Attributes:
        names: names of the features in their order, or None.
        size: number of rows, or None if it is not known.
        pieces: iterator over consecutive rows, which can be used once. Those
            of `open_table` are float32 [rows, features], and labels, object
            [rows], or None; those of `open_rows` a `pyarrow.Table`, and a
            function of a row of it that says where it stands.
        units: units of columns by name.
    """

    names: Names | None
    size: int | None
    pieces: Iterator[tuple[Any, Any]]
    units: Units = MappingProxyType({})


def is_table(path: pathlib.Path) -> bool:
    """Return whether a file is a table by its name."""
    return path.name.lower().endswith(SUFFIXES)


def open_table(
    path: pathlib.Path | str,
    label_key: str | None = None,
    columns: Columns = ALL_COLUMNS,
) -> Table:
    """Open a table in a text, a Parquet, a Feather or an Arrow file.

    Args:
        path: path of the file, whose name gives its format, or "-" for text
            on standard input.
        label_key: name of the column of labels, if there is one.
        columns: which columns are features, and in what order.

    Raises:
        ValueError: if it is not such a table.
    """
    rows = open_rows(path, label_key, columns)
    pieces = (
        _values_and_labels(path, table, label_key, place)
        for table, place in rows.pieces
    )
    return Table(rows.names, rows.size, pieces, rows.units)


def open_rows(
    path: pathlib.Path | str,
    label_key: str | None = None,
    columns: Columns = ALL_COLUMNS,
    start: int = 0,
) -> Table:
    """Open a table as `open_table`, whose rows are not looked at.

    Args:
        path: as of `open_table`.
        label_key: as of `open_table`.
        columns: as of `open_table`.
        start: number of rows at the beginning to leave out.

    Raises:
        ValueError: if it is not such a table.
    """
    suffix = "" if path == "-" else pathlib.Path(path).suffix.lower()
    if suffix in _COLUMNAR:
        file = _COLUMNAR[suffix](path)
        names = columns.features(path, file.names, label_key, file.widths)
        wanted = [*names, *([] if label_key is None else [label_key])]
        units = known_units({name: file.units.get(name) for name in names})
        pieces = _columnar(file.read(wanted, start), start)
        return Table(names, file.size, pieces, units)
    names, pieces = _open_text(path, label_key, columns)
    return Table(names, None, _behind(start, pieces))


def read_table(path: pathlib.Path, label_key, columns: Columns) -> Contents:
    """Read all rows of a table into memory.

    Raises:
        ValueError: if it is not a table of numbers.
    """
    names, _, pieces, units = open_rows(path, label_key, columns)
    spread = None
    kept, num_bytes = [], 0
    for table, place in pieces:
        if spread is None:
            spread = Spread(table.num_columns - (label_key is not None))
        piece = _values_and_labels(path, table, label_key, place, spread.add)
        spread.add_rows(table.num_rows)
        num_bytes += piece[0].nbytes
        # Both what was read and the array that it is joined to.
        check_memory(path, 2 * num_bytes)
        kept.append(piece)
    if spread is None:
        raise ValueError(f"{path} has no rows.")
    parts, labels = zip(*kept, strict=True)
    values = np.concatenate(parts)
    warn_of_lost_digits(path, spread, names)
    if names:
        refuse_counter(
            path, names[0], lambda rows: values[:rows, 0], len(values)
        )
    return Contents(
        values,
        None if label_key is None else np.concatenate(labels),
        names,
        units,
    )


def _columnar(tables, start):
    for table in tables:
        yield (
            table,
            lambda row, start=start: f"row {start + row} (counted from 0)",
        )
        start += table.num_rows


def _behind(start, pieces):
    """Leave out the first rows of some pieces."""
    for table, place in pieces:
        left_out = min(start, table.num_rows)
        start -= left_out
        if left_out < table.num_rows:
            yield (
                table.slice(left_out),
                lambda row, by=left_out, place=place: place(by + row),
            )


def _open_text(path, label_key, columns):
    known = {label_key, *columns.drop, *(columns.names or ())} - {None}
    text = open_text(path, path, columns.header, known)
    if text.names is None:
        if label_key is not None or (columns.drop and columns.names is None):
            raise ValueError(
                f"{path} has no names of columns, which label_key and drop "
                "need; add a line of names."
            )
        names, label = None, None
        features = list(range(text.num_columns))
    else:
        names = columns.features(path, text.names, label_key)
        features = [text.names.index(name) for name in names]
        label = None if label_key is None else text.names.index(label_key)
    texts = {
        place: text.integers[column]
        for place, column in enumerate(features)
        if column in text.integers
    }
    warn_of_writing(path, texts, names)
    return names, text.read(features, label)


def _values_and_labels(path, table, label_key, place, look=None):
    labels = None
    if label_key is not None:
        labels = np.array(table.column(label_key).to_pylist(), object)
        table = table.drop_columns([label_key])
    return arrow_values(path, table, place=place, look=look), labels
