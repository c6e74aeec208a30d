"""Data frames and Arrow tables as arrays of numbers with named columns.

Whatever hands its columns over as Arrow is read, and its library need not be
installed: DataFrames of pandas, polars and others, tables of pyarrow.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nae_tf.base.feature_names import Names, checked_names
from nae_tf.base.list_columns import (
    features_in,
    features_of,
    is_of_numbers,
    widths_of,
)
from nae_tf.base.lost_digits import Spread


class NamedValues(NamedTuple):
    """A table of numbers.

    Attributes:
        values: float array [rows, columns].
        names: names of the columns.
        spread: spread of the columns as the table holds them.
    """

    values: np.ndarray
    names: Names
    spread: Spread


def is_data_frame(x) -> bool:
    """Return whether a value is a table with named columns.

    Lazy frames are, although `from_data_frame` refuses them. A Series and a
    structured array are not.
    """
    kind = type(x)
    hands_over = ("__arrow_c_stream__", "__dataframe__", "collect", "compute")
    return hasattr(kind, "columns") and any(
        hasattr(kind, name) for name in hands_over
    )


def refuse_lazy(title, x):
    """Refuse a data frame that has no values yet.

    Args:
        title: what the frame is for, used in error messages.
        x: what `is_data_frame` takes for one.

    Raises:
        ValueError: if it is lazy.
    """
    if hasattr(x, "__arrow_c_stream__") or hasattr(x, "__dataframe__"):
        return
    raise ValueError(
        f"{title}: received a lazy {type(x).__name__}; collect() or compute() "
        "it first."
    )


def from_data_frame(title, x, dtype=np.float32) -> NamedValues:
    """Return the numbers of a data frame, their names and their spread.

    The index of a pandas DataFrame is left out, as pandas' own `to_numpy`
    does.

    Args:
        title: what the frame is for, used in error messages.
        x: a DataFrame, or a `pyarrow.Table`.
        dtype: floating type of the values.

    Raises:
        ModuleNotFoundError: if pyarrow is not installed.
        ValueError: if a column does not hold finite numbers alone.
    """
    import pyarrow
    import pyarrow.interchange

    refuse_lazy(title, x)
    if hasattr(x, "__arrow_c_stream__"):
        convert = pyarrow.table
    else:  # pandas before 2.2, and others.
        convert = pyarrow.interchange.from_dataframe
    try:
        table = convert(x)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(map(str, error.args)).replace("\n", " ")
        raise ValueError(
            f"{title}: a column of the {type(x).__name__} cannot be read as "
            f"numbers: {reason}; convert it to floats, or leave it out."
        ) from error
    table = table.drop_columns(index_columns(table.schema))
    widths = widths_of(
        table.schema,
        table.column_names,
        lambda some: table.select(some).to_batches(),
    )
    names = checked_names(title, features_in(table.column_names, widths))
    if widths:
        table = features_of(title, table, names, widths)
    spread = Spread(len(names))
    values = arrow_values(title, table, dtype, look=spread.add)
    spread.add_rows(len(values))
    return NamedValues(values, names, spread)


def index_columns(schema) -> list[str]:
    """Return the columns of an Arrow schema that were an index of pandas."""
    pandas = schema.pandas_metadata or {}
    # An index that only counts is stored as a description, not as a column.
    return [
        name
        for name in pandas.get("index_columns", [])
        if isinstance(name, str) and name in schema.names
    ]


def arrow_values(
    title,
    table,
    dtype=np.float32,
    place: Callable[[int], str] = "row {} (counted from 0)".format,
    look: Callable[[int, np.ndarray], None] | None = None,
) -> np.ndarray:
    """Return the numbers of an Arrow table.

    Args:
        title: name of the table, used in error messages.
        table: `pyarrow.Table` of integers, floats, decimals and truth values,
            which become 0 and 1.
        dtype: floating type of the result.
        place: function of a row's number, from 0, that says where it stands.
        look: function of a column's position and its values, float64 [rows],
            finite and not yet rounded to `dtype`.

    Returns:
        Array [rows, columns].

    Raises:
        ValueError: if a column has another type, a missing value, NaN,
            infinity, or an integer that a float cannot hold.
    """
    values = np.empty((table.num_rows, table.num_columns), dtype, order="F")
    for index, name in enumerate(table.column_names):
        column = table.column(index)
        _check_type(title, name, column.type)
        if column.null_count:
            first = int(column.is_null().to_numpy().argmax())
            raise ValueError(
                f"{title}: column {name!r} has no value in {place(first)}, "
                f"one of {column.null_count}; repair or remove these rows."
            )
        floats = _as_floats(column)
        if floats is None:
            raise ValueError(
                f"{title}: column {name!r} holds integers of 2**53 or more, "
                "which floats cannot tell apart; leave it out, or make it "
                "floats."
            )
        with np.errstate(over="ignore"):  # Infinite values are refused below.
            values[:, index] = floats
        finite = np.isfinite(values[:, index])
        if not finite.all():
            first = int(finite.argmin())
            raise ValueError(
                f"{title}: column {name!r} has NaN or infinite values, the "
                f"first ({floats[first]:g}) in {place(first)}; repair or "
                "remove these rows."
            )
        if look is not None:
            look(index, floats)
    return np.ascontiguousarray(values)


def _as_floats(column):
    """Return a column as float64, or None if it has integers beyond them."""
    import pyarrow

    try:
        floats = column.cast(pyarrow.float64()).to_numpy()
    except pyarrow.ArrowInvalid:
        return None
    kind = column.type
    # Databases keep identifiers as decimals without a fraction.
    is_whole = pyarrow.types.is_integer(kind) or (
        pyarrow.types.is_decimal(kind) and kind.scale <= 0
    )
    if is_whole and np.abs(floats).max(initial=0.0) >= 2.0**53:
        return None
    return floats


def _check_type(title, name, kind):
    if not is_of_numbers(kind):
        raise ValueError(
            f"{title}: column {name!r} holds {kind}, expected numbers; convert "
            "it, or leave it out."
        )
