"""Tables in files: columns that are found by name and joined to vectors."""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from nae_tf.base.feature_names import (
    Names,
    checked_names,
    listed,
    positions_of,
)
from nae_tf.base.number_arrays import NO_NUMBERS
from nae_tf.data.readers.checks import refuse_identifiers
from nae_tf.data.readers.columns import Columns, check_names
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.units import Units, known_units

# What a column cannot hold, by NumPy's letters for kinds of types.
_NO_NUMBERS = NO_NUMBERS | {
    "O": "text, lists of varying lengths or other objects",
    "V": "fields of their own",
    "enum": "codes of categories",
}
# Columns in which a table's writer counts the rows, in lower case.
_COUNTERS = (
    *("", "index", "level_0", "unnamed: 0", "rownames", "row.names"),
    *("id", "row", "row_id", "rowid", "row_number", "#"),
)
_ROWS_COMPARED = 1_000


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples in a file, read in parts.

    Attributes:
        shape: [number, ...].
        dtype: type of the values.
        read: function of the first position and the one after the last, that
            returns the examples between them.
        names: names of the features of vectors, or None.
        units: units of features by name, "" for all values without names.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray]
    names: Names | None = None
    units: Units = dataclasses.field(default_factory=dict)

    def in_order(self, title, expected: Names | None) -> "Source":
        """Return the same examples with their features in another order.

        Arguments and errors are those of `Contents.in_order`.
        """
        if self.names is None or expected in (None, self.names):
            return self
        order = positions_of(title, self.names, expected)
        return dataclasses.replace(
            self,
            read=lambda start, stop: self.read(start, stop)[:, order],
            names=expected,
        )

    def contents(self, title, labels: np.ndarray | None = None) -> Contents:
        """Read all examples.

        Args:
            title: name of the file, used in the error message.
            labels: classes, [number], or None.

        Raises:
            ValueError: if they do not fit into memory.
        """
        size = self.shape[0] if self.shape else 0
        check_memory(title, math.prod(self.shape) * self.dtype.itemsize)
        return Contents(self.read(0, size), labels, self.names, self.units)


@dataclasses.dataclass(frozen=True)
class Fields:
    """Named columns in a file, read in parts.

    Attributes:
        size: number of rows.
        types: type of every column by its name; for a column of arrays, a type
            with their shape.
        read: function of names, the first row and the one after the last, that
            returns the columns [rows, ...] by name.
        units: units of columns by name.
    """

    size: int
    types: Mapping[str, np.dtype]
    read: Callable[[Sequence[str], int, int], Mapping[str, np.ndarray]]
    units: Units = dataclasses.field(default_factory=dict)

    def column(self, name: str) -> np.ndarray:
        """Read a whole column."""
        return np.asarray(self.read([name], 0, self.size)[name])


def only_array(
    title, names: Collection[str], label_key: str | None, hint: str = ""
) -> str:
    """Return the name of the only array that can hold the examples.

    Args:
        title: name of the file, used in error messages.
        names: names of its arrays.
        label_key: name of the array of labels, or None.
        hint: advice that ends the message.

    Raises:
        ValueError: if there is not exactly one.
    """
    candidates = sorted(set(names) - {label_key})
    if not candidates:
        raise ValueError(f"{title} has no array of examples.")
    if len(candidates) != 1:
        raise ValueError(
            f"{title} has the arrays {listed(candidates)}; set key to the one "
            f"that holds the examples{hint}."
        )
    return candidates[0]


def common_length(title, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Find the number of examples that all arrays of a table have.

    Args:
        title: file, and place in it, for messages.
        shapes: shapes of the arrays by name; that of a number is ().

    Returns:
        The length of their first axes.

    Raises:
        ValueError: if there are several, or an array has none.
    """
    lengths = {name: sum(shape[:1]) for name, shape in shapes.items()}
    if len(set(lengths.values())) != 1 or () in shapes.values():
        given = [f"{name}: {length}" for name, length in lengths.items()]
        raise ValueError(
            f"{title}: expected arrays of one length, received "
            f"{listed(given)}; choose one of them as key, or name those that "
            "are no columns in drop."
        )
    return min(lengths.values())


def split(source: Source, names: Names) -> Fields:
    """Take the features of vectors as columns.

    Args:
        source: vectors [rows, features].
        names: names of their features.
    """
    places = {name: place for place, name in enumerate(names)}

    def read(wanted, start, stop):
        part = source.read(start, stop)
        return {name: part[:, places[name]] for name in wanted}

    types = dict.fromkeys(names, source.dtype)
    units = dict.fromkeys(names, source.units.get("", ""))
    return Fields(source.shape[0], types, read, known_units(units))


def structured(array) -> Fields:
    """Take the fields of a structured array as columns.

    Args:
        array: structured array [rows].
    """

    def read(names, start, stop):
        part = array[start:stop]
        return {name: part[name] for name in names}

    types = {name: array.dtype[name] for name in array.dtype.names}
    return Fields(len(array), types, read)


def joined(
    title,
    table: Fields,
    label_key: str | None,
    columns: Columns,
) -> Source:
    """Join the columns of numbers to one vector for each row.

    A column of arrays [k] becomes k features, name[0] to name[k - 1]. A single
    column of images stays one.

    Args:
        title: name of the table, used in error messages.
        table: its columns.
        label_key: column of the classes, which is left out; or None.
        columns: which other columns are left out, and the order of the rest.

    Raises:
        ValueError: if a name is missing, or if a column holds no numbers.
    """
    check_names(title, table.types, label_key)
    if columns.names is None:
        # A misspelt name would leave a label among the features.
        check_names(title, table.types, *columns.drop)
    left_out = (label_key, *columns.drop)
    kept = [name for name in table.types if name not in left_out]
    if not kept:
        raise ValueError(f"{title} has no column of features.")
    types = {name: table.types[name] for name in kept}
    _check_types(title, types)
    _check_masks(title, table, kept)
    refuse_counter(
        title,
        kept[0],
        lambda size: table.read(kept[:1], 0, size)[kept[0]],
        table.size,
    )
    shapes = [types[name].shape for name in kept]
    dtype = np.result_type(*(types[name].base for name in kept))
    if len(kept) == 1 and len(shapes[0]) > 1:
        [name] = kept
        return Source(
            (table.size, *shapes[0]),
            dtype,
            lambda start, stop: np.asarray(table.read(kept, start, stop)[name]),
            units=known_units({"": table.units.get(name)}),
        )
    names_of = _feature_names(title, kept, shapes)
    names = checked_names(title, [n for some in names_of for n in some])

    def read(start, stop):
        parts = table.read(kept, start, stop)
        values = np.empty((stop - start, len(names)), dtype)
        place = 0
        for name, shape in zip(kept, shapes, strict=True):
            width = math.prod(shape)
            part = np.asarray(parts[name]).reshape(stop - start, width)
            refuse_identifiers(f"{title}: column {name!r}", part)
            values[:, place : place + width] = part
            place += width
        return values

    units = {
        feature: table.units.get(name)
        for name, features in zip(kept, names_of, strict=True)
        for feature in features
    }
    source = Source(
        (table.size, len(names)), dtype, read, names, known_units(units)
    )
    return source.in_order(title, columns.names)


def _check_types(title, types):
    kinds = {
        name: "enum"
        if "enum" in (dtype.base.metadata or {})
        else dtype.base.kind
        for name, dtype in types.items()
    }
    for kind, what in _NO_NUMBERS.items():
        found = [name for name in kinds if kinds[name] == kind]
        if found:
            raise ValueError(
                f"{title}: expected columns of numbers, but {listed(found)} "
                f"hold{'s' if len(found) == 1 else ''} {what}; name them in "
                "drop, or store numbers in their place."
            )


def _check_masks(title, table, kept):
    """Refuse masked rows; astropy stores the mask of x as a column x.mask."""
    for name in list(kept):
        masked = name.removesuffix(".mask")
        if masked != name and masked in table.types:
            kept.remove(name)
            count = np.count_nonzero(table.column(name))
            if count and masked in kept:
                raise ValueError(
                    f"{title}: {count} of {table.size} values of the column "
                    f"{masked!r} are masked; repair or remove those rows."
                )


def refuse_counter(title, name, read: Callable[[int], np.ndarray], size: int):
    """Refuse a first column that counts the rows: it is no feature.

    Args:
        title: name of the table, used in error messages.
        name: name of its first column.
        read: function of a number of rows that returns so many of the column.
        size: number of rows.

    Raises:
        ValueError: if the column has the name of a counter, and counts.
    """
    rows = min(size, _ROWS_COMPARED)
    if (
        name.lower() in _COUNTERS
        and rows > 1
        and any(
            np.array_equal(np.asarray(read(rows)), np.arange(rows) + start)
            for start in (0, 1)
        )
    ):
        raise ValueError(
            f"{title}: the column {name!r} counts the rows; name it in drop."
        )


def _feature_names(title, kept, shapes):
    """Names of the features of every column."""
    names = []
    for name, shape in zip(kept, shapes, strict=True):
        if len(shape) > 1:
            raise ValueError(
                f"{title}: the column {name!r} holds arrays of shape {shape} "
                "beside other columns; name it, or the others, in drop."
            )
        places = range(shape[0]) if shape else ()
        names.append([f"{name}[{place}]" for place in places] or [name])
    return names


def check_end(title, source: Source):
    """Refuse floats that end in zeros alone, as unwritten parts of files do.

    Two examples or more of zeros at the end, and none before them, are taken
    for a part that was allocated and never written.

    Args:
        title: name of the array, used in error messages.
        source: its examples.

    Raises:
        ValueError: if it ends so.
    """
    size = source.shape[0] if source.shape else 0
    if source.dtype.kind != "f" or size < 3:
        return
    try:
        is_written = _is_written(source, size - 2, size)
        if is_written.any():
            return
        is_written = np.concatenate(
            [
                _is_written(source, start, min(start + _ROWS_COMPARED, size))
                for start in range(0, size, _ROWS_COMPARED)
            ]
        )
    except ValueError:  # Missing values: whoever reads all counts them.
        return
    end = size - int(np.argmax(is_written[::-1]))
    if is_written.any() and is_written[:end].all():
        raise ValueError(
            f"{title} ends in {size - end} examples of zeros, as an array "
            "whose end was never written; cut it there, or store it as .npy "
            "if they are meant."
        )


def _is_written(source, start, stop):
    """Return which examples hold a value other than zero."""
    values = source.read(start, stop)
    return np.asarray(values.reshape(stop - start, -1).any(axis=1))
