"""Checks of a table's columns that scikit-learn does not make.

What it converts to numbers need not be some: text such as "00715", categories,
dates of polars and Arrow, identifiers beyond 2**53.
"""

import datetime
import numbers
import re
from typing import Any

import numpy as np

from nae_tf.base.data_frames import is_data_frame, refuse_lazy
from nae_tf.base.number_arrays import NO_NUMBERS

# Types that hold no numbers, as pandas, polars and Arrow write them.
_NO_NUMBERS = {
    "lists": re.compile(r"(large_|fixed_size_)?(list|array|struct|map)"),
    "categories": re.compile(r"category|categorical|enum|dictionary"),
    "text": re.compile(
        r"(large_)?(str|string|utf8|binary|bytes)(_view)?(?![a-z])"
    ),
    "dates": re.compile(r"(datetime|date|timestamp|time)\d*(?![a-z])"),
    "durations": re.compile(
        r"(timedelta|duration|period|interval)\d*(?![a-z])"
    ),
    "complex numbers": re.compile(r"complex\d*"),
}
_REMEDIES = {
    "lists": "make each of their values a column",
    "categories": "encode it, as by sklearn.preprocessing.OneHotEncoder, or "
    "make it numbers",
    "text": "encode it, as by sklearn.preprocessing.OneHotEncoder, make it "
    "numbers, or leave it out",
    "dates": "leave it out, or convert it to a number such as hours",
    "durations": "leave it out, or convert it to a number such as hours",
    "complex numbers": "make its real and its imaginary part columns",
}

_OBJECTS = {
    "complex numbers": (complex, np.complexfloating),
    # Of dictionaries scikit-learn tells, in words that it checks.
    "lists": (list, tuple, np.ndarray),
    "text": (str, bytes),
    "durations": (np.timedelta64, datetime.timedelta),
    "dates": (np.datetime64, datetime.date, datetime.time),
}


def column_names(x) -> tuple | None:
    """Return the names of a data frame's columns, of any type, or None."""
    return tuple(name for name, _ in _types(x)) if is_data_frame(x) else None


def refuse_no_numbers(x):
    """Refuse text, categories and dates, also those that could be converted.

    Args:
        x: the table: a data frame, an array or rows.

    Raises:
        ValueError: if there are some; the line names the column. Or if the
            frame is lazy.

    Example:
        >>> import pandas as pd
        >>> from nae_tf.tables.column_checks import refuse_no_numbers
        >>> kinds = pd.Series([11, 13, 11], dtype="category")
        >>> refuse_no_numbers(pd.DataFrame({"pdg": kinds}))
        Traceback (most recent call last):
        ValueError: NAEDetector: expected numbers, column 'pdg' holds ...
    """
    if not is_data_frame(x):
        found = _what_it_holds(x)
        if found == "complex numbers":
            raise ValueError(  # It begins as scikit-learn's own line does.
                "Complex data not supported by NAEDetector; make real and "
                "imaginary parts columns."
            )
        if found is not None:
            raise ValueError(
                f"NAEDetector: expected numbers, received {found}; leave them "
                "out, and convert the rest, as by np.asarray(X, float)."
            )
        return
    refuse_lazy("NAEDetector", x)
    for name, dtype in _types(x):
        written = str(dtype).lower()
        found = next(
            (what for what, like in _NO_NUMBERS.items() if like.match(written)),
            None,
        )
        if written == "object":
            found = _what_it_holds(x[name])
        if found is not None:
            raise ValueError(
                f"NAEDetector: expected numbers, column {name!r} holds "
                f"{found}; {_REMEDIES[found]}."
            )


def refuse_identifiers(x, values: np.ndarray):
    """Refuse integers that floats cannot tell apart.

    Args:
        x: the table: a data frame, an array or rows.
        values: its numbers, float64 [rows, columns].

    Raises:
        ValueError: if there is an integer of 2**53 or more; the line names the
            column.
    """
    large = np.flatnonzero((np.abs(values) >= 2.0**53).any(axis=0))
    if not len(large):
        return
    for place in large:
        name, column = _column(x, place)
        if _is_integer(column):
            raise ValueError(
                f"NAEDetector: column {name!r} holds integers of 2**53 or "
                "more, which floats cannot tell apart; leave it out, or make "
                "it floats."
            )


def refuse_other_columns(names: tuple | None, expected: tuple | None):
    """Refuse columns in another order than in `fit`, or others.

    Args:
        names: names of the columns, or None.
        expected: names of the columns in `fit`, or None.

    Raises:
        ValueError: if both are known and differ.
    """
    if names is None or expected is None or names == expected:
        return
    raise ValueError(
        f"NAEDetector: expected the columns {list(expected)[:8]} as in fit, "
        f"received {list(names)[:8]}; the same names in the same order are "
        "needed."
    )


def _types(x) -> list[tuple[Any, Any]]:
    """Names and types of a data frame's columns."""
    # The columns of Arrow's tables are arrays, not names.
    if hasattr(x, "column_names"):
        return list(zip(x.column_names, x.schema.types, strict=True))
    types = getattr(x, "dtypes", [""] * len(x.columns))
    return list(zip(x.columns, types, strict=True))


def _column(x, place):
    """Name and values of a column of a table."""
    if not is_data_frame(x):
        return int(place), np.asarray(x)[:, place]
    name, dtype = _types(x)[place]
    written = str(dtype).lower()
    if re.match("u?int", written):
        return name, np.zeros(0, int)
    return name, np.asarray(x[name]) if written == "object" else np.zeros(0)


def _is_integer(column):
    if column.dtype.kind != "O":
        return column.dtype.kind in "iu"
    return any(isinstance(value, numbers.Integral) for value in column)


def _what_it_holds(values) -> str | None:
    """Return what an array, or rows, hold that is no number, or None."""
    if not hasattr(values, "dtype"):
        if not isinstance(values, (list, tuple)):
            return None
        try:
            values = np.asarray(values)
        except ValueError:  # Rows of several lengths: scikit-learn says so.
            return None
    kind = getattr(values.dtype, "kind", "")
    if kind != "O":
        return NO_NUMBERS.get(kind)
    for value in np.asarray(values, object).ravel().tolist():
        for what, types in _OBJECTS.items():
            if isinstance(value, types):
                return what
    return None
