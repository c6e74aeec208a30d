"""Batches of a table: rows that are no examples spoil no others."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nae_tf.base.data_frames import arrow_values
from nae_tf.data.readers.batches import Batch, ExampleStream, numbers
from nae_tf.data.readers.codes import CodesInParts
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.tables import open_rows


class _Rows(NamedTuple):
    """Consecutive rows of a table.

    Attributes:
        path: the table, named in error messages.
        table: `pyarrow.Table` of these rows.
        place: function of a row of them that says where it stands.
        values: float32 [rows, features], or None if not all rows are examples.
    """

    path: Any
    table: Any
    place: Callable[[int], str]
    values: np.ndarray | None

    @classmethod
    def read(cls, path, table, place):
        try:
            values = arrow_values(path, table, place=place)
        except ValueError:
            # A column of texts is no fault of a row: it ends here.
            arrow_values(path, table.slice(0, 0))
            values = None
        return cls(path, table, place, values)

    def part(self, start, count):
        def place(row):
            return self.place(start + row)

        values = None
        if self.values is not None:
            values = self.values[start : start + count]
        table = self.table.slice(start, count)
        return self._replace(table=table, place=place, values=values)

    def load(self):
        if self.values is not None:
            return self.values
        return arrow_values(self.path, self.table, place=self.place)


def table_stream(
    path, batch_size: int, columns: Columns, skip: int = 0
) -> ExampleStream:
    """Open a table.

    Args:
        path: path of the file, or "-" for text on standard input.
        batch_size: examples per batch, > 0.
        columns: which columns are features, and in what order.
        skip: number of batches to leave out; in a Parquet file they are not
            read, but for those in one group of rows with the first batch.

    Raises:
        ValueError: if it is not a table.
    """
    start = skip * batch_size
    table = open_rows(path, columns=columns, start=start)
    codes = CodesInParts(path, table.names)

    def looked_at(load, *arguments):
        values = load(*arguments)
        codes.add(values)
        return values

    def batches():
        first = start
        for parts in _regrouped(path, table.pieces, batch_size):
            count = sum(part.table.num_rows for part in parts)
            yield Batch(
                numbers(first, count),
                functools.partial(looked_at, _load, parts),
                functools.partial(looked_at, _load_one, parts),
            )
            first += count
        codes.warn()

    return ExampleStream(table.size, batches(), table.names, table.units)


def _regrouped(path, pieces, batch_size) -> Iterator[list[_Rows]]:
    """Cut pieces of a table into parts that make batches of one size."""
    parts: list[_Rows] = []
    lacking = batch_size
    for table, place in pieces:
        rows = _Rows.read(path, table, place)
        start = 0
        while start < table.num_rows:
            part = rows.part(start, lacking)
            parts.append(part)
            start += part.table.num_rows
            lacking -= part.table.num_rows
            if not lacking:
                yield parts
                parts, lacking = [], batch_size
    if parts:
        yield parts


def _load(parts):
    return np.concatenate([part.load() for part in parts])


def _load_one(parts, position):
    for part in parts:
        if position < part.table.num_rows:
            return part.part(position, 1).load()
        position -= part.table.num_rows
    raise IndexError(position)
